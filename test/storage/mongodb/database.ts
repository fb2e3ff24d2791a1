/** Databases on the tests' server, each for one test, and ways to look into them past the store. */

import { randomUUID } from 'node:crypto';
import { inject, onTestFinished } from 'vitest';
import { openMongoStore } from '../../../src/storage/mongodb/open.ts';
import type { MongoKeyStore } from '../../../src/storage/mongodb/store.ts';
import { StoreUnusable } from '../../../src/storage/unusable.ts';
import { dropDatabase, inDatabase } from '../../support/mongodb.ts';

/** The URI of the server that all tests share; empty where there is none. */
export const SERVER = inject('mongodb');

/** The URI of a new database; it is gone when the test has ended. */
export function emptyDatabase(): string {
  const uri = inDatabase(SERVER, `gatehouse-test-${randomUUID()}`);
  onTestFinished(() => dropDatabase(uri));
  return uri;
}

/** Opens a store that is closed when the test has ended. */
export async function openForTest(uri = emptyDatabase()): Promise<MongoKeyStore> {
  const store = await openMongoStore(uri);
  onTestFinished(() => store.close());
  return store;
}

/** Why a database cannot be opened. @throws where it can be. */
export async function errorOfOpening(uri: string): Promise<StoreUnusable> {
  try {
    await (await openMongoStore(uri)).close();
  } catch (error) {
    if (error instanceof StoreUnusable) return error;
    throw error;
  }
  throw new Error('it was opened');
}
