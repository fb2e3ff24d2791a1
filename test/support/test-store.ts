/** A store for one test, of the kind that this run of the tests is over. */

import { randomUUID } from 'node:crypto';
import { inject, onTestFinished } from 'vitest';
import type { MovableStore } from '../../src/storage/movable-store.ts';
import { openStore } from '../../src/storage/open.ts';
import { overMongo } from './gatehouse.ts';
import { dropDatabase, inDatabase } from './mongodb.ts';

/** Opens a store with nothing in it but its registry. It is gone when the test has ended. */
export async function openTestStore(): Promise<MovableStore> {
  const location = overMongo ? inDatabase(inject('mongodb'), `gatehouse-test-${randomUUID()}`) : ':memory:';
  const store = await openStore(location);
  onTestFinished(async () => {
    await store.close();
    if (overMongo) await dropDatabase(location);
  });
  return store;
}
