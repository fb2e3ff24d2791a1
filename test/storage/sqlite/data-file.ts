import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { openSqliteStore } from '../../../src/storage/sqlite/open.ts';
import type { SqliteKeyStore } from '../../../src/storage/sqlite/store.ts';

/** A path for a data file, in a folder that goes when the test has ended. */
export async function dataFile(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return join(folder, 'data', 'gatehouse.db');
}

/** Opens a store that is closed when the test has ended. */
export async function openForTest(path: string): Promise<SqliteKeyStore> {
  const store = await openSqliteStore(path);
  onTestFinished(() => store.close());
  return store;
}
