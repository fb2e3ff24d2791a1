import { randomUUID } from 'node:crypto';
import { describe, inject } from 'vitest';
import { openMongoStore } from '../../src/storage/mongodb/open.ts';
import { dropDatabase, inDatabase } from '../support/mongodb.ts';
import { keyStoreConformance, type Opened } from './key-store.ts';

const server = inject('mongodb');

describe.skipIf(server === '')('over a real server', () => {
  keyStoreConformance('mongodb', open);
});

async function open(): Promise<Opened> {
  const uri = inDatabase(server, `conformance-${randomUUID()}`);
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
