/** Opening whichever store a place names. */

import type { KeyStore } from './key-store.ts';
import { isMongoUri, locate, openMongoStore } from './mongodb/open.ts';
import { openSqliteStore } from './sqlite/open.ts';

/**
 * @param location a URI of MongoDB, else the path of a data file, or `:memory:`.
 * @throws StoreUnusable, StoreInUse.
 */
export function openStore(location: string): Promise<KeyStore> {
  return isMongoUri(location) ? openMongoStore(location) : openSqliteStore(location);
}

/** A place in words for people, without the password that it may hold. */
export function describeLocation(location: string): string {
  return isMongoUri(location) ? `MongoDB, ${locate(location).place}` : `SQLite, ${location}`;
}
