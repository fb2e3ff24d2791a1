import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WriteQueue } from '../../../src/storage/sqlite/write-queue.ts';
import { sampleKey, sampleSecret } from '../../conformance/samples.ts';
import { dataFile, openForTest } from './data-file.ts';

const NORMAL = 1;
const FULL = 2;

/** A queue over a file, and a second connection that sees what was committed. */
async function rig() {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-'));
  const path = join(folder, 'queue.db');
  const database = new DatabaseSync(path);
  database.exec(`
    PRAGMA journal_mode = WAL;
    CREATE TABLE parents (name TEXT PRIMARY KEY) STRICT;
    CREATE TABLE rows (
      name TEXT NOT NULL,
      parent TEXT REFERENCES parents (name) DEFERRABLE INITIALLY DEFERRED
    ) STRICT;
  `);
  const reader = new DatabaseSync(path, { readOnly: true });
  onTestFinished(() => {
    reader.close();
    database.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const insert = (name: string, parent: string | null = null): boolean =>
    database.prepare('INSERT INTO rows VALUES (?, ?)').run(name, parent).changes === 1;
  const committed = () => namesOf(reader);
  // Prepared anew each time: SQLite carries a pragma out when it is prepared.
  const level = () => Number(database.prepare('PRAGMA synchronous').get()?.synchronous);
  return { database, queue: new WriteQueue(database), insert, committed, level };
}

function namesOf(database: DatabaseSync): string[] {
  return database
    .prepare('SELECT name FROM rows ORDER BY name')
    .all()
    .map(({ name }) => String(name));
}

describe('what the disk has before a write is acknowledged', () => {
  test.each([
    ['OFF', 0],
    ['NORMAL', 1],
    ['FULL', 2],
  ])('the first write after opening, at %s, waits for it where it is synced', async (_name, before) => {
    const { database, queue, insert, level } = await rig();
    database.exec(`PRAGMA synchronous = ${before}`);
    const levels: number[] = [];
    await queue.add(() => levels.push(level()) > 0 && insert('a'), true);
    expect(levels).toEqual([FULL]);
  });

  test('a synced write waits for it whatever came before, an unsynced one alone does not', async () => {
    const { queue, insert, level } = await rig();
    const levels: number[] = [];
    for (const synced of [false, true, false, false, true, true, false]) {
      await queue.add(() => levels.push(level()) > 0 && insert('a'), synced);
    }
    expect(levels).toEqual([NORMAL, FULL, NORMAL, NORMAL, FULL, FULL, NORMAL]);
  });

  test.each([[[true, false]], [[false, true]], [[false, true, false]]])(
    'a batch with a synced write waits for it as a whole: %j',
    async (batch) => {
      const { queue, insert, level } = await rig();
      const levels: number[] = [];
      await queue.add(() => insert('before'), false);
      await Promise.all(
        batch.map((synced) => queue.add(() => levels.push(level()) > 0 && insert('a'), synced)),
      );
      expect(levels).toEqual(batch.map(() => FULL));
    },
  );
});

describe('writes of one turn', () => {
  test('are one transaction, in their order, and are acknowledged once it is committed', async () => {
    const { queue, insert, committed } = await rig();
    const seen: string[][] = [];
    const acknowledged = ['a', 'b', 'c'].map(async (name) => {
      const kept = await queue.add(() => {
        seen.push(committed());
        return insert(name);
      }, name === 'b');
      return [kept, committed()];
    });
    expect(committed()).toEqual([]);
    for (const one of await Promise.all(acknowledged)) expect(one).toEqual([true, ['a', 'b', 'c']]);
    // Nothing of the earlier ones was committed when the later ones were done.
    expect(seen).toEqual([[], [], []]);
  });

  test('are another transaction than those of the next turn', async () => {
    const { queue, insert, committed } = await rig();
    await queue.add(() => insert('a'), true);
    let seen: string[] = [];
    await queue.add(() => {
      seen = committed();
      return insert('b');
    }, true);
    expect(seen).toEqual(['a']);
    expect(committed()).toEqual(['a', 'b']);
  });

  test('one that returns false or throws is undone alone, the others are kept', async () => {
    const { queue, insert, committed } = await rig();
    const bug = new Error('bug');
    const settled = await Promise.allSettled([
      queue.add(() => insert('a'), true),
      queue.add(() => insert('refused') && false, true),
      queue.add(() => insert('b'), false),
      queue.add(() => {
        insert('thrown');
        throw bug;
      }, true),
      queue.add(() => insert('c'), true),
    ]);
    expect(settled).toMatchObject([
      { value: true },
      { value: false },
      { value: true },
      { reason: { kind: 'unavailable', cause: bug } },
      { value: true },
    ]);
    expect(committed()).toEqual(['a', 'b', 'c']);
  });

  test('are all refused and all undone where they cannot be committed, and the next ones succeed', async () => {
    const { queue, insert, committed } = await rig();
    const settled = await Promise.allSettled([
      queue.add(() => insert('a'), true),
      queue.add(() => insert('orphan', 'nowhere'), true),
    ]);
    for (const one of settled) expect(one).toMatchObject({ reason: { kind: 'unavailable' } });
    expect(committed()).toEqual([]);
    expect(await queue.add(() => insert('next'), true)).toBe(true);
    expect(committed()).toEqual(['next']);
  });

  test('are all refused where one takes the whole transaction with it, as SQLite does on a full disk', async () => {
    const { database, queue, insert, committed } = await rig();
    const settled = await Promise.allSettled([
      queue.add(() => insert('a'), true),
      queue.add(() => {
        database.exec('ROLLBACK');
        throw new Error('disk full');
      }, true),
      queue.add(() => insert('b'), true),
    ]);
    for (const one of settled) expect(one).toMatchObject({ reason: { kind: 'unavailable' } });
    expect(committed()).toEqual([]);
    expect(await queue.add(() => insert('next'), true)).toBe(true);
  });
});

describe('writes that still wait', () => {
  test('are done by flush, at once and only once', async () => {
    const { queue, insert, committed } = await rig();
    const waiting = queue.add(() => insert('a'), true);
    queue.flush();
    expect(committed()).toEqual(['a']);
    expect(await waiting).toBe(true);
    await queue.add(() => insert('b'), true);
    expect(committed()).toEqual(['a', 'b']);
  });

  test('are done before the store closes, and acknowledged', async () => {
    const path = await dataFile();
    const before = await openForTest(path);
    const key = sampleKey();
    const inserted = before.insertKey(key, sampleSecret(key));
    const counted = before.addUsage('writer:1', [{ keyId: key.id, count: 3, lastUsedTime: 5 }]);
    await before.close();
    expect(await inserted).toBe(true);
    await counted;

    const after = await openForTest(path);
    expect(await after.getKey(key.id)).toEqual(key);
    expect((await after.readUsage([key.id])).get(key.id)).toEqual({ count: 3, lastUsedTime: 5 });
  });
});
