/** What the first opening makes, and whose databases it leaves alone. */

import type { Db } from 'mongodb';
import { describe, expect, test } from 'vitest';
import { INDEXES, SCHEMA_VERSION } from '../../../src/storage/mongodb/schema.ts';
import { atOnce, storeKey, T0 } from '../../conformance/samples.ts';
import { readDatabase, withDatabase } from '../../support/mongodb.ts';
import { emptyDatabase, errorOfOpening, openForTest, SERVER } from './database.ts';

/** The indexes beside `_id` of each collection that has any. */
async function indexesOf(database: Db): Promise<Record<string, unknown[]>> {
  const all: Record<string, unknown[]> = {};
  for (const { collectionName, indexes } of await database.collections().then(withIndexes)) {
    if (indexes.length > 0) all[collectionName] = indexes;
  }
  return all;
}

async function withIndexes(collections: Awaited<ReturnType<Db['collections']>>) {
  return Promise.all(
    collections.map(async (one) => ({
      collectionName: one.collectionName,
      indexes: (await one.indexes())
        .filter(({ name }) => name !== '_id_')
        .map(({ name, key, unique, sparse }) => ({ name, key: Object.entries(key), unique, sparse })),
    })),
  );
}

const EXPECTED_INDEXES = Object.fromEntries(
  Object.entries(INDEXES)
    .filter(([, indexes]) => indexes.length > 0)
    .map(([collection, indexes]) => [
      collection,
      expect.arrayContaining(
        indexes.map(({ name, key, options }) =>
          expect.objectContaining({
            name,
            key: Object.entries(key),
            ...(options?.sparse === true ? { sparse: true } : {}),
          }),
        ),
      ),
    ]),
);

describe.skipIf(SERVER === '')('an opening', () => {
  test('makes the indexes of the table and no unique one, so that collections may be sharded by _id', async () => {
    const uri = emptyDatabase();
    await openForTest(uri);
    const indexes = await withDatabase(uri, indexesOf);
    expect(indexes).toEqual(EXPECTED_INDEXES);
    for (const [collection, made] of Object.entries(indexes)) {
      expect(made).toHaveLength(INDEXES[collection as keyof typeof INDEXES].length);
      for (const one of made) expect(one).not.toMatchObject({ unique: true });
    }
  });

  test('eight times at once over nothing makes one store', async () => {
    const uri = emptyDatabase();
    const stores = await atOnce(8, () => openForTest(uri));
    const registries = await Promise.all(stores.map((store) => store.readRegistry()));
    expect(new Set(registries.map(({ macKey }) => macKey)).size).toBe(1);
    const [first, last] = [stores[0], stores[7]];
    if (first === undefined || last === undefined) throw new Error('there are eight');
    const key = await storeKey(first);
    expect(await last.getKey(key.id)).toEqual(key);
    expect(await withDatabase(uri, indexesOf)).toEqual(EXPECTED_INDEXES);
  });

  test.each([
    ['noted its version', ['schema']],
    ['made the registry', ['schema', 'registry']],
  ])('goes on where one ended that had just %s', async (_what, ids) => {
    const uri = emptyDatabase();
    const before = await openForTest(uri);
    await before.close();
    const registry = await withDatabase(uri, async (database) => {
      const kept = await database.collection('meta').find().toArray();
      await database.dropDatabase();
      const left = kept.filter(({ _id }) => ids.includes(String(_id)));
      expect(left).toHaveLength(ids.length);
      await database.collection('meta').insertMany(left);
      return left.find(({ _id }) => String(_id) === 'registry');
    });

    const store = await openForTest(uri);
    const { macKey } = await store.readRegistry();
    expect(macKey).toMatch(/^[\w-]{43}$/);
    if (registry !== undefined) expect(macKey).toBe(JSON.parse(registry.record).macKey);
    expect(await withDatabase(uri, indexesOf)).toEqual(EXPECTED_INDEXES);
    await storeKey(store);
    expect(await store.countKeys({}, T0)).toEqual({ total: 1, active: 1, revoked: 0 });
  });

  test('of a store that is there changes nothing in it', async () => {
    const uri = emptyDatabase();
    const store = await openForTest(uri);
    await storeKey(store);
    await store.close();
    const before = await readDatabase(uri);
    await (await openForTest(uri)).close();
    expect(await readDatabase(uri)).toEqual(before);
  });
});

describe.skipIf(SERVER === '')('an opening is refused in one sentence, and changes nothing', () => {
  test('where a newer Gatehouse wrote the database', async () => {
    const uri = emptyDatabase();
    await (await openForTest(uri)).close();
    await withDatabase(uri, (database) =>
      database.collection('meta').updateOne({ _id: 'schema' as never }, { $inc: { version: 1 } }),
    );
    const before = await readDatabase(uri);
    const { message } = await errorOfOpening(uri);
    const versions = `schema ${SCHEMA_VERSION + 1}, this one knows ${SCHEMA_VERSION}`;
    expect(message).toMatch(/^MongoDB at \S+\/gatehouse-test-\S+ was written by a newer Gatehouse /);
    expect(message).toContain(versions);
    expect(await readDatabase(uri)).toEqual(before);
  });

  test.each(Object.keys(INDEXES))('where another program has its own "%s" there', async (collection) => {
    const uri = emptyDatabase();
    await withDatabase(uri, (database) => database.collection(collection).insertOne({ theirs: true }));
    const before = await readDatabase(uri);
    const { message } = await errorOfOpening(uri);
    expect(message).toContain(
      `has a collection "${collection}" of another program, or is what an incomplete restore left; name a database of its own`,
    );
    expect(message).not.toContain('\n');
    expect(await readDatabase(uri)).toEqual(before);
    expect(await withDatabase(uri, indexesOf)).toEqual({});
  });
});
