/** A secret whose key was not written any more, for its process died: nothing is opened by it, and nothing stands in its way. */

import { describe, expect, test } from 'vitest';
import { sha256 } from '../../../src/domain/digest.ts';
import type { Secret } from '../../../src/domain/key.ts';
import { RESERVED_KEYSPACE } from '../../../src/domain/permissions.ts';
import { secretDocument } from '../../../src/storage/mongodb/documents.ts';
import { atOnce, sampleKey, sampleSecret } from '../../conformance/samples.ts';
import { callJson, ROOT_KEY, startGatehouse } from '../../support/gatehouse.ts';
import { withDatabase } from '../../support/mongodb.ts';
import { emptyDatabase, openForTest, SERVER } from './database.ts';

/** Puts a secret there as a process leaves it that dies before it writes the key. */
async function leave(uri: string, secret: Secret): Promise<void> {
  const { _id, ...fields } = secretDocument(secret);
  await withDatabase(uri, (database) =>
    database.collection('secrets').insertOne({ _id: _id as never, ...fields }),
  );
}

describe.skipIf(SERVER === '')('a secret that was left without its key', () => {
  test('is taken up by whoever adds that very key, and by no other', async () => {
    const uri = emptyDatabase();
    const store = await openForTest(uri);
    const key = sampleKey();
    const secret = sampleSecret(key);
    await leave(uri, secret);
    expect(await store.getKey(key.id)).toBeUndefined();

    const another = sampleKey();
    expect(
      await store.insertKey(another, { ...secret, keyId: another.id, generation: another.generation }),
    ).toBe(false);
    // As another by its id alone, and by its generation alone.
    for (const one of [
      sampleKey({ generation: key.generation }),
      sampleKey({ id: key.id, generation: 'another' }),
    ]) {
      expect(await store.insertKey(one, { ...secret, keyId: one.id, generation: one.generation })).toBe(
        false,
      );
      expect(await store.getKey(one.id)).toBeUndefined();
    }
    expect(await store.findSecret(secret.keyspace, secret.lookup)).toEqual(secret);

    expect(await store.insertKey(key, secret)).toBe(true);
    expect(await store.getKey(key.id)).toEqual(key);
    expect(await store.insertKey(key, secret)).toBe(false);
    expect(await store.findSecret(secret.keyspace, secret.lookup)).toEqual(secret);
  });

  test('is taken up by one of eight who add that very key at once, and stays', async () => {
    const uri = emptyDatabase();
    const store = await openForTest(uri);
    const key = sampleKey();
    const secret = sampleSecret(key);
    await leave(uri, secret);
    const added = await atOnce(8, () => store.insertKey(key, secret));
    expect(added.filter((one) => one)).toHaveLength(1);
    expect(await store.getKey(key.id)).toEqual(key);
    expect(await store.findSecret(secret.keyspace, secret.lookup)).toEqual(secret);
  });

  test('of eight who add one key with one secret at once, and nothing is there, one does, and the secret stays', async () => {
    const store = await openForTest();
    for (let round = 0; round < 20; round++) {
      const key = sampleKey();
      const secret = sampleSecret(key);
      const added = await atOnce(8, () => store.insertKey(key, secret));
      expect(added.filter((one) => one)).toHaveLength(1);
      expect(await store.findSecret(secret.keyspace, secret.lookup)).toEqual(secret);
    }
  });

  test('of the root key of the settings keeps no start from adding that root key', async () => {
    const uri = emptyDatabase();
    await (await openForTest(uri)).close();
    const left: Secret = {
      keyspace: RESERVED_KEYSPACE,
      lookup: sha256(ROOT_KEY),
      keyId: 'key_left',
      generation: 'left',
      algorithm: 'sha256',
    };
    await leave(uri, left);
    for (let start = 0; start < 2; start++) {
      const gatehouse = await startGatehouse({ env: { MONGODB_URI: uri } });
      try {
        expect(gatehouse.output().stderr).toContain('1 root key');
        const { body } = await callJson(gatehouse, 'KeyService/ListKeys', {}, { key: ROOT_KEY });
        expect(body.keys).toMatchObject([{ id: 'key_left' }]);
      } finally {
        await gatehouse.remove();
      }
    }
  });
});
