/** Opening the embedded store: file modes, SQLite's settings, the exclusive lock. */

import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { OpenOptions } from '../movable-store.ts';
import { StoreUnusable, unfinishedCopy } from '../unusable.ts';
import { Connection } from './connection.ts';
import { dataFileCheck } from './data-file.ts';
import { openError } from './errors.ts';
import { migrate, readVersion } from './schema.ts';
import { SqliteKeyStore } from './store.ts';

const IN_MEMORY = ':memory:';

// Set before the first read: WAL then needs no shared memory file, and that read takes the lock for good.
const ALONE = 'PRAGMA locking_mode = EXCLUSIVE';

// When the log is synced is the write queue's to say.
// secure_delete overwrites what is changed or deleted, so that old hashes do not linger in free pages.
// The last two are sizes: a cache of 32 MiB, and what the log may keep on disk once it was folded.
const SETTINGS = `
PRAGMA journal_mode = WAL;
PRAGMA secure_delete = ON;
PRAGMA trusted_schema = OFF;
PRAGMA cache_size = -32768;
PRAGMA journal_size_limit = 67108864;
`;

/**
 * Opens the store, making file and schema where there is none yet unless told, and holds it alone until `close`.
 *
 * @param path of the data file, or `:memory:` for one that ends with the process.
 * @throws StoreInUse at once where another process holds the file.
 * @throws StoreUnusable where the file or its folder cannot be used, or it is not a data file that this version reads, or
 *   it holds half a store.
 */
export async function openSqliteStore(path: string, options: OpenOptions = {}): Promise<SqliteKeyStore> {
  // An absolute path is also one that SQLite does not take for a `file:` URI with options of its own.
  const file = path === IN_MEMORY ? IN_MEMORY : resolve(path);
  if (file !== IN_MEMORY) {
    if (options.existing && !existsSync(file)) throw new StoreUnusable(`there is no data file ${file}`);
    makeFile(file);
  }
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file);
    database.exec(ALONE);
    const version = readVersion(database, file);
    if (options.existing && version === 0) throw new StoreUnusable(`the data file ${file} is empty`);
    database.exec(SETTINGS);
    migrate(database, version);
    const check = file === IN_MEMORY ? undefined : dataFileCheck(file);
    const store = new SqliteKeyStore(new Connection(database, check));
    if (!options.unfinished && (await store.readCopyNote()) !== undefined) {
      throw unfinishedCopy(`the data file ${file}`);
    }
    return store;
  } catch (error) {
    if (database?.isOpen === true) database.close();
    throw openError(file, error);
  }
}

/** Makes an empty file that only this user may read; SQLite gives its log the same mode. */
function makeFile(file: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    // Only ever opened to be made: closing any descriptor of a file drops the locks that this process has on it.
    closeSync(openSync(file, 'wx', 0o600));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    if (code !== 'EEXIST') throw new StoreUnusable(`the data file ${file} cannot be made (${code})`, error);
  }
}
