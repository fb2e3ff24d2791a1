import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { StoreInUse } from '../../../src/storage/sqlite/errors.ts';
import { openSqliteStore } from '../../../src/storage/sqlite/open.ts';
import { SCHEMA_VERSION } from '../../../src/storage/sqlite/schema.ts';
import { StoreUnusable } from '../../../src/storage/unusable.ts';
import { changed, storeKey } from '../../conformance/samples.ts';
import { nextLine, startChild } from './child.ts';
import { dataFile, openForTest } from './data-file.ts';

async function errorOfOpening(path: string): Promise<Error> {
  try {
    await openForTest(path);
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('it was opened');
}

describe('the data file', () => {
  test('is made together with its folder, and only its user may read them', async () => {
    const path = await dataFile();
    const store = await openForTest(path);
    await storeKey(store);
    const modes = [dirname(path), path, `${path}-wal`].map(async (one) => (await stat(one)).mode & 0o777);
    expect(await Promise.all(modes)).toEqual([0o700, 0o600, 0o600]);
  });

  test('is whole in itself once the store was closed: the log is folded into it', async () => {
    const path = await dataFile();
    const store = await openForTest(path);
    const key = await storeKey(store);
    await store.close();
    await expect(stat(`${path}-wal`)).rejects.toThrow('ENOENT');
    expect((await readFile(path)).includes(key.id)).toBe(true);
  });

  test('may have a name that looks like a URI', async () => {
    const path = join(dirname(await dataFile()), 'file:a?mode=memory.db');
    await (await openForTest(path)).close();
    expect((await stat(path)).size).toBeGreaterThan(0);
  });

  test('says whose it is and of which schema', async () => {
    const path = await dataFile();
    await (await openForTest(path)).close();
    const database = new DatabaseSync(path);
    expect(database.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
    expect(database.prepare('PRAGMA user_version').get()).toEqual({ user_version: SCHEMA_VERSION });
    expect(database.prepare('PRAGMA application_id').get()).toEqual({ application_id: 0x47415445 });
    database.close();
  });

  test('keeps nothing of what was replaced', async () => {
    const path = await dataFile();
    const store = await openForTest(path);
    const key = await storeKey(store, { name: 'canary'.repeat(2000) });
    await store.replaceKey(changed(key, { name: 'plain' }));
    await store.close();
    expect((await readFile(path)).includes('canary')).toBe(false);
  });
});

describe('opening is refused in one sentence', () => {
  test('where another process has the file, at once, and not once that process has ended', async () => {
    const path = await dataFile();
    const child = startChild('./inserting-child.ts', [path]);
    await nextLine(child);
    const begun = performance.now();
    const error = await errorOfOpening(path);
    expect(performance.now() - begun).toBeLessThan(1000);
    expect(error).toBeInstanceOf(StoreInUse);
    expect(error.message).toBe(`the data file ${path} is in use by another Gatehouse process`);
    await nextLine(child);
    await child.kill();
    await openForTest(path);
  });

  test('where this process has it open already, and the first opening stays good', async () => {
    const path = await dataFile();
    const store = await openForTest(path);
    expect(await errorOfOpening(path)).toBeInstanceOf(StoreInUse);
    const child = startChild('./opening-child.ts', [path]);
    expect(await nextLine(child)).toBe('StoreInUse');
    await storeKey(store);
  });

  test.each(['data file', 'folder'])('where the %s stands in the place of a folder or file', async (what) => {
    const path = await dataFile();
    await mkdir(dirname(path));
    if (what === 'folder') await mkdir(path);
    else await writeFile(path, '');
    const error = await errorOfOpening(what === 'folder' ? path : join(path, 'below', 'gatehouse.db'));
    expect(error).toBeInstanceOf(StoreUnusable);
    expect(error.message).toMatch(
      /^the data file \S+ cannot be (made \(ENOTDIR\)|opened: check that its folder .*)$/,
    );
  });

  test('where the file is no database, which is left as it is', async () => {
    const path = await dataFile();
    await mkdir(dirname(path));
    const garbage = 'quite some other text, '.repeat(1000);
    await writeFile(path, garbage);
    const error = await errorOfOpening(path);
    expect(error).toBeInstanceOf(StoreUnusable);
    expect(error.message).toBe(`the data file ${path} is not a Gatehouse data file`);
    expect(await readFile(path, 'utf8')).toBe(garbage);
  });

  test("where the file is another program's database, which is left as it is", async () => {
    const path = await dataFile();
    await mkdir(dirname(path));
    const database = new DatabaseSync(path);
    database.exec('CREATE TABLE theirs (id INTEGER)');
    database.close();
    const before = await readFile(path);
    const error = await errorOfOpening(path);
    expect(error).toBeInstanceOf(StoreUnusable);
    expect(error.message).toBe(`the data file ${path} belongs to another program`);
    expect((await readFile(path)).equals(before)).toBe(true);
  });

  test('where a newer Gatehouse wrote the file', async () => {
    const path = await dataFile();
    await (await openForTest(path)).close();
    const database = new DatabaseSync(path);
    database.exec(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
    database.close();
    const error = await errorOfOpening(path);
    expect(error).toBeInstanceOf(StoreUnusable);
    const versions = `schema ${SCHEMA_VERSION + 1}, this one knows ${SCHEMA_VERSION}`;
    expect(error.message).toBe(`the data file ${path} was written by a newer Gatehouse (${versions})`);
  });

  test('where the file is damaged, and the process does not keep it open', async () => {
    const path = await dataFile();
    await (await openForTest(path)).close();
    const bytes = await readFile(path);
    await writeFile(path, bytes.fill(0x5a, 100, 4096));
    expect(await errorOfOpening(path)).toBeInstanceOf(StoreUnusable);
    const child = startChild('./opening-child.ts', [path]);
    expect(await nextLine(child)).toBe('StoreUnusable');
  });

  test('a store in memory is empty each time and open to many', async () => {
    const stores = await Promise.all([openSqliteStore(':memory:'), openSqliteStore(':memory:')]);
    await storeKey(stores[0]);
    expect(await stores[1].countKeys({}, 0)).toEqual({ total: 0, active: 0, revoked: 0 });
    for (const store of stores) await store.close();
  });
});
