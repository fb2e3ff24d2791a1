/** An empty database on the tests' server, for one case of the suite. */

import { randomUUID } from 'node:crypto';
import { inject } from 'vitest';
import { openMongoStore } from '../../src/storage/mongodb/open.ts';
import { dropDatabase, inDatabase } from '../support/mongodb.ts';
import type { Opened } from './key-store.ts';

export async function openMongo(): Promise<Opened> {
  const uri = inDatabase(inject('mongodb'), `conformance-${randomUUID()}`);
  let store = await openMongoStore(uri);
  return {
    store,
    async reopen(options) {
      await store.close();
      store = await openMongoStore(uri, options);
      return store;
    },
    async discard() {
      await store.close();
      await dropDatabase(uri);
    },
  };
}
