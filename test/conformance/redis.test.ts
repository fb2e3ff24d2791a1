import { afterAll, beforeAll, describe, inject } from 'vitest';
import type { SpreadRecord } from '../../src/coherence/spread.ts';
import { recordName, secretName } from '../../src/storage/cache/names.ts';
import type { RecordName } from '../../src/storage/cache/shared.ts';
import type { KeyStore } from '../../src/storage/key-store.ts';
import { openSqliteStore } from '../../src/storage/sqlite/open.ts';
import { overlaidStore } from '../support/overlaid-store.ts';
import { REDIS, REDIS_OLDEST, type RedisServer, startRedis } from '../support/redis.ts';
import { type CachedReplica, startReplica } from '../support/replicas.ts';
import { keyStoreConformance, type Opened } from './key-store.ts';
import { openMongo } from './open-mongo.ts';

const mongodb = inject('mongodb');

describe.skipIf(REDIS === '')('over a real Redis', () => {
  suite('sqlite behind two replicas', REDIS, openSqlite);
  describe.skipIf(mongodb === '')('and a real server of MongoDB', () => {
    suite('mongodb behind two replicas', REDIS, openMongo, { durable: true, all: false });
  });
});

describe.skipIf(REDIS_OLDEST === '')('over the oldest Redis', () => {
  suite('sqlite behind two replicas', REDIS_OLDEST, openSqlite, { durable: false, all: false });
});

/** One of two replicas changes, and the other one is asked: what one has in memory must not be what the other has replaced. */
function suite(
  name: string,
  program: string,
  open: () => Promise<Opened>,
  options = { durable: false, all: true },
): void {
  let redis: RedisServer;
  let replicas: readonly [CachedReplica, CachedReplica];
  beforeAll(async () => {
    redis = await startRedis(program);
    replicas = [await startReplica(redis.url(), 'd'), await startReplica(redis.url(), 'd')];
    // Who knows an epoch for a shorter time waits longer for each change.
    await new Promise((resolve) => setTimeout(resolve, 1000));
  });
  afterAll(async () => {
    for (const one of replicas ?? []) await one.stop();
    await redis?.remove();
  });
  keyStoreConformance(
    name,
    async () => {
      const inner = await open();
      const behind = (store: KeyStore) => announcing(store, replicas);
      const { reopen } = inner;
      return {
        store: await behind(inner.store),
        ...(reopen === undefined ? {} : { reopen: async (options) => behind(await reopen(options)) }),
        discard: () => inner.discard(),
      };
    },
    { movable: false, ...options },
  );
}

/** Changes go through the first replica and are confirmed, as coherence/changes.ts does it; reads go to the second. */
async function announcing(store: KeyStore, [one, other]: readonly [CachedReplica, CachedReplica]) {
  const writer = one.over(store);
  const reader = other.over(store);
  const confirm = async (name: RecordName): Promise<void> => {
    const record: SpreadRecord = { name, keyspace: 'acx', revision: 1 };
    await one.replica.confirm([record]);
  };
  await confirm('keyspaces');
  const changes = {
    insertKey: async (key, secret) => {
      const done = await writer.insertKey(key, secret);
      await confirm(secretName(secret.keyspace, secret.lookup));
      await confirm(`key:${key.id}`);
      return done;
    },
    insertSecret: async (secret) => {
      const done = await writer.insertSecret(secret);
      await confirm(secretName(secret.keyspace, secret.lookup));
      return done;
    },
    replaceKey: async (next) => {
      const done = await writer.replaceKey(next);
      await confirm(`key:${next.id}`);
      return done;
    },
    insertKeyspace: async (keyspace) => {
      const done = await writer.insertKeyspace(keyspace);
      await confirm('keyspaces');
      return done;
    },
    replaceKeyspace: async (next) => {
      const done = await writer.replaceKeyspace(next);
      await confirm('keyspaces');
      return done;
    },
    insertOwner: async (owner) => {
      const done = await writer.insertOwner(owner);
      await confirm(`owner:${owner.id}`);
      return done;
    },
    replaceOwner: async (next) => {
      const done = await writer.replaceOwner(next);
      await confirm(`owner:${next.id}`);
      return done;
    },
    publishEvents: async (record, upTo) => {
      await writer.publishEvents(record, upTo);
      await confirm(recordName(record));
    },
    finishMarking: async (record, generation) => {
      await writer.finishMarking(record, generation);
      await confirm(recordName(record));
    },
  } satisfies Partial<KeyStore>;
  return overlaidStore(reader, changes);
}

async function openSqlite(): Promise<Opened> {
  const store = await openSqliteStore(':memory:');
  return { store, discard: () => store.close() };
}
