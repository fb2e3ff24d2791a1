import { describe, expect, test } from 'vitest';
import { RESERVED_KEYSPACE } from '../../../src/domain/permissions.ts';
import { sampleKey, sampleKeyspace, sampleSecret } from '../../conformance/samples.ts';
import { dropDatabase } from '../../support/mongodb.ts';
import { emptyDatabase, openForTest, SERVER } from './database.ts';

const UNAVAILABLE = { kind: 'unavailable' };

describe.skipIf(SERVER === '')('a database that comes back empty under a running process', () => {
  test('is no store in which good keys are unknown: it cannot answer, and is not ready', async () => {
    const uri = emptyDatabase();
    const store = await openForTest(uri);
    await store.insertKeyspace(sampleKeyspace({ id: RESERVED_KEYSPACE, prefix: 'ghm_' }));
    const key = sampleKey();
    await store.insertKey(key, sampleSecret(key));
    expect(await store.listKeyspaces()).toHaveLength(1);
    await store.ping();

    await dropDatabase(uri);
    await expect(store.listKeyspaces()).rejects.toMatchObject(UNAVAILABLE);
    await expect(store.ping()).rejects.toMatchObject(UNAVAILABLE);
  });

  test('is read once for all who ask for the keyspaces in one turn, after they asked', async () => {
    const store = await openForTest();
    const before = store.listKeyspaces();
    expect(store.listKeyspaces()).toBe(before);
    expect(await before).toEqual([]);
    await store.insertKeyspace(sampleKeyspace({ id: 'acx' }));
    expect(await store.listKeyspaces()).toHaveLength(1);
  });
});
