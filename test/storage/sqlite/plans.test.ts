import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { KeyFilter } from '../../../src/storage/key-store.ts';
import { LISTING_INDEXES } from '../../../src/storage/sqlite/listing.ts';
import { openSqliteStore } from '../../../src/storage/sqlite/open.ts';
import { STATEMENTS } from '../../../src/storage/sqlite/statements.ts';
import { storeKey, T0 } from '../../conformance/samples.ts';

// One value for each field. Which of them are set makes the text; what the values are does not.
const FIELDS: Required<KeyFilter> = {
  keyspaces: ['acx'],
  owner: { kind: 'user', id: '1' },
  project: 'web',
  states: ['active', 'expired'],
  nameContains: 'a',
  displayPrefix: 'acx_1',
  createdAfter: T0,
  createdBefore: T0 + 9,
  lastUsedAfter: T0,
  lastUsedBefore: T0 + 9,
  expiresAfter: T0,
  expiresBefore: T0 + 9,
};

function everyFilter(): KeyFilter[] {
  const names = Object.keys(FIELDS) as (keyof KeyFilter)[];
  return Array.from({ length: 2 ** names.length }, (_, bits) =>
    Object.fromEntries(names.filter((_, index) => bits & (1 << index)).map((name) => [name, FIELDS[name]])),
  );
}

/** The texts that a store prepares while it is opened and lists and counts by every filter. */
async function preparedTexts(path: string): Promise<string[]> {
  const prepare = vi.spyOn(DatabaseSync.prototype, 'prepare');
  const store = await openSqliteStore(path);
  await storeKey(store, { project: 'web' });
  const after = { createTime: T0 + 5, id: 'key_x' };
  for (const filter of everyFilter()) {
    for (const one of [filter, ...(filter.project === undefined ? [] : [{ ...filter, project: '' }])]) {
      await store.listKeys({ filter: one, limit: 1, now: T0 });
      await store.listKeys({ filter: one, limit: 1, now: T0, after });
      await store.countKeys(one, T0);
    }
  }
  await store.close();
  const texts = prepare.mock.calls.map(([sql]) => sql);
  prepare.mockRestore();
  return [...new Set(texts)];
}

describe('query plans', () => {
  let folder: string;
  let texts: readonly string[];
  let database: DatabaseSync;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-'));
    const path = join(folder, 'gatehouse.db');
    texts = await preparedTexts(path);
    database = new DatabaseSync(path);
  });

  afterAll(async () => {
    database.close();
    await rm(folder, { recursive: true });
  });

  function planOf(sql: string): string[] {
    const rows = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
    return rows.map(({ detail }) => String(detail));
  }

  test.each(Object.entries(STATEMENTS))(
    '%s is prepared, and served as its table says',
    (_, { sql, plan }) => {
      expect(texts).toContain(sql);
      expect(planOf(sql)).toEqual(plan);
    },
  );

  test('no statement that the store prepares scans a table or sorts, but those that say why', () => {
    // At least one text for each of the filters, beside the fixed ones.
    expect(texts.length).toBeGreaterThan(2 ** Object.keys(FIELDS).length);
    const exceptions: readonly string[] = [
      STATEMENTS.listKeyspaces.sql,
      STATEMENTS.keyspacesWithKeys.sql,
      STATEMENTS.listPeppers.sql,
      STATEMENTS.countKeysUnder.sql,
      STATEMENTS.countRecords.sql,
    ];
    const bad = texts
      .filter((sql) => /^\s*(SELECT|UPDATE|INSERT|WITH)/.test(sql) && !/FROM sqlite_schema/.test(sql))
      .filter((sql) => !exceptions.includes(sql))
      .map((sql) => ({ sql, plan: planOf(sql) }))
      .filter(({ plan }) => plan.some((line) => /^SCAN (?!\w+ USING )|TEMP B-TREE/.test(line)));
    expect(bad).toEqual([]);
  });

  test('each index of the listing table serves what is meant for it, and usage is met by its key', () => {
    const fixed = new Set<string>(Object.values(STATEMENTS).map(({ sql }) => sql));
    const served = new Set<string>();
    for (const sql of texts) {
      const index = /INDEXED BY (\w+)/.exec(sql)?.[1];
      if (index === undefined || fixed.has(sql)) continue;
      const [first, ...rest] = planOf(sql);
      expect(first, sql).toMatch(new RegExp(`^(SEARCH|SCAN) keys USING (COVERING )?INDEX ${index}\\b`));
      for (const line of rest) expect(line, sql).toMatch(/^SEARCH usage USING PRIMARY KEY \(key_id=\?\)/);
      served.add(index);
    }
    expect([...served].sort()).toEqual(LISTING_INDEXES.map(({ index }) => index).sort());
  });

  test('a page begins at its place in the index, whichever index it is', () => {
    const pages = texts.filter((sql) => sql.includes('(keys.create_time, keys.id) < (?, ?)'));
    const elsewhere = pages.filter(
      (sql) => !/\(create_time,id\)<|create_time[<>]/.test(planOf(sql)[0] ?? ''),
    );
    expect(pages.length).toBeGreaterThan(2 ** 10);
    expect(elsewhere).toEqual([]);
  });

  test("an owner's keys are counted in the index alone", () => {
    const counts = texts.filter((sql) => /count\(CASE[\s\S]*owner_id = \?$/.test(sql));
    expect(counts).toHaveLength(2);
    for (const sql of counts) expect(planOf(sql)[0]).toContain('USING COVERING INDEX');
  });
});
