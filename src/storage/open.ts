/** Opening whichever store a place names. */

import { resolve } from 'node:path';
import { isMongoUri, locate } from './mongodb/uri.ts';
import type { MovableStore, OpenOptions } from './movable-store.ts';
import { openSqliteStore } from './sqlite/open.ts';

/**
 * @param location a URI of MongoDB, else the path of a data file, or `:memory:`.
 * @throws StoreUnusable, StoreInUse.
 */
export async function openStore(location: string, options?: OpenOptions): Promise<MovableStore> {
  if (!isMongoUri(location)) return openSqliteStore(location, options);
  // Loaded here: the driver takes a fifth of a start, and 17 MiB of memory.
  const { openMongoStore } = await import('./mongodb/open.ts');
  return openMongoStore(location, options);
}

/** A place in words for people, without the password that it may hold. */
export function describeLocation(location: string): string {
  return isMongoUri(location) ? `MongoDB, ${locate(location).place}` : `SQLite, ${location}`;
}

/** As the subject of a sentence, as in the messages of a failed opening. */
export function nameLocation(location: string): string {
  return isMongoUri(location) ? `MongoDB at ${locate(location).place}` : `the data file ${resolve(location)}`;
}
