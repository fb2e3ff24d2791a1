import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../../src/domain/failure.ts';
import { changed, sampleKey, sampleSecret, storeKey, T0 } from '../../conformance/samples.ts';
import { dataFile, openForTest } from './data-file.ts';

describe('what the driver throws', () => {
  test('a write that fails half-way leaves nothing behind, and the next one succeeds', async () => {
    const store = await openForTest(await dataFile());
    const key = await storeKey(store);
    const increments = [
      { keyId: key.id, count: 1, lastUsedTime: T0 },
      { keyId: key.id, count: 1, lastUsedTime: Number.NaN },
    ];
    await expect(store.addUsage('writer:1', increments)).rejects.toMatchObject({ kind: 'unavailable' });
    expect(await store.readUsage([key.id])).toEqual(new Map());
    await store.addUsage('writer:1', increments.slice(0, 1));
    expect((await store.readUsage([key.id])).get(key.id)?.count).toBe(1);
  });

  test('a key that cannot be written leaves no secret behind', async () => {
    const store = await openForTest(await dataFile());
    const key = sampleKey({ createTime: Number.NaN });
    const secret = sampleSecret(key);
    await expect(store.insertKey(key, secret)).rejects.toBeInstanceOf(Failure);
    expect(await store.findSecret(secret.keyspace, secret.lookup)).toBeUndefined();
    expect(await store.replaceKey(changed(key, { createTime: T0 }))).toBe(false);
  });

  test('a damaged record is not taken for one that is not there', async () => {
    const path = await dataFile();
    const before = await openForTest(path);
    const key = await storeKey(before);
    await before.close();
    const database = new DatabaseSync(path);
    database.exec(`UPDATE keys SET record = '{"id": "secret stuff'`);
    database.close();

    const store = await openForTest(path);
    const error = await store.getKey(key.id).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ kind: 'unavailable', message: 'the store cannot answer now' });
    expect(error).toHaveProperty('cause');
  });
});
