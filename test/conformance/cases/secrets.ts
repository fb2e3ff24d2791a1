import { describe, expect, test } from 'vitest';
import type { KeyStore } from '../../../src/storage/key-store.ts';
import type { OpenForCase } from '../key-store.ts';
import { atOnce, changed, sampleKey, sampleSecret, storeKey, T0, unique } from '../samples.ts';

export function secretCases(open: OpenForCase<KeyStore>): void {
  describe('a further secret', () => {
    test('is there beside the first one, and the key is as it was', async () => {
      const store = await open();
      const key = sampleKey();
      const first = sampleSecret(key);
      await store.insertKey(key, first);
      const second = sampleSecret(key, { generation: 'next' });
      expect(await store.insertSecret(second)).toBe(true);
      expect(await store.findSecret(first.keyspace, first.lookup)).toEqual(first);
      expect(await store.findSecret(second.keyspace, second.lookup)).toEqual(second);
      expect(await store.getKey(key.id)).toEqual(key);
    });

    test('that was looked for before it was added is found afterwards', async () => {
      const store = await open();
      const secret = sampleSecret(await storeKey(store));
      expect(await store.findSecret(secret.keyspace, secret.lookup)).toBeUndefined();
      await store.insertSecret(secret);
      expect(await store.findSecret(secret.keyspace, secret.lookup)).toEqual(secret);
    });

    test('whose lookup is taken in its keyspace changes nothing', async () => {
      const store = await open();
      const [one, other] = [await storeKey(store), await storeKey(store)];
      const secret = sampleSecret(one, { generation: 'next' });
      await store.insertSecret(secret);
      expect(await store.insertSecret(sampleSecret(other, { lookup: secret.lookup }))).toBe(false);
      expect(await store.insertSecret(secret)).toBe(false);
      expect(await store.findSecret(secret.keyspace, secret.lookup)).toEqual(secret);
    });

    test('with the lookup of one in another keyspace is added', async () => {
      const store = await open();
      const lookup = unique('lookup');
      for (const keyspace of ['acx', 'shop']) {
        const key = await storeKey(store, { keyspace });
        expect(await store.insertSecret(sampleSecret(key, { lookup }))).toBe(true);
        expect((await store.findSecret(keyspace, lookup))?.keyId).toBe(key.id);
      }
    });

    test('of 16 added at once under one lookup one is there', async () => {
      const store = await open();
      const key = await storeKey(store);
      const lookup = unique('lookup');
      const won = await atOnce(16, (index) =>
        store.insertSecret(sampleSecret(key, { lookup, generation: `writer ${index}` })),
      );
      expect(won.filter(Boolean)).toHaveLength(1);
      const { generation } = (await store.findSecret('acx', lookup)) ?? {};
      expect(generation).toBe(`writer ${won.indexOf(true)}`);
    });

    test.each([
      { algorithm: 'hmac-sha256', pepperId: 'p1' },
      { algorithm: 'argon2id', hash: '$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA' },
    ] as const)('is given back as it was: $algorithm', async (fields) => {
      const store = await open();
      const secret = sampleSecret(await storeKey(store), fields);
      await store.insertSecret(secret);
      expect(await store.findSecret(secret.keyspace, secret.lookup)).toEqual(secret);
    });
  });

  describe('a rotated key', () => {
    test('is given back with its previous secret and the request that it came by', async () => {
      const store = await open();
      const key = await storeKey(store);
      const rotated = changed(key, {
        generation: 'next',
        previous: { generation: key.generation, expireTime: T0 + 9 },
        rotationRequest: { id: 'request', expireTime: T0 },
        parentKeyId: 'key_parent',
      });
      await store.replaceKey(rotated);
      expect(await store.getKey(key.id)).toEqual(rotated);
      const { previous: _, rotationRequest: __, parentKeyId: ___, ...rest } = rotated;
      const later = changed(rest, {});
      await store.replaceKey(later);
      expect(await store.getKey(key.id)).toEqual(later);
    });

    test('counts under the pepper of its previous secret until the overlap has passed, and once', async () => {
      const store = await open();
      const key = sampleKey();
      await store.insertKey(key, sampleSecret(key, { algorithm: 'hmac-sha256', pepperId: 'old' }));
      for (const pepperId of ['old', 'new']) {
        const secret = { algorithm: 'hmac-sha256', pepperId, generation: `of ${pepperId}` } as const;
        await store.insertSecret(sampleSecret(key, secret));
      }
      const previous = { generation: key.generation, expireTime: T0 };
      await store.replaceKey(changed(key, { generation: 'of new', previous }));
      expect(await store.countKeysUnder('old', T0 - 1)).toBe(1);
      expect(await store.countKeysUnder('old', T0)).toBe(0);
      expect(await store.countKeysUnder('new', T0)).toBe(1);
      const both = { generation: 'of old', previous: { ...previous, expireTime: T0 + 9 } };
      await store.replaceKey(changed(changed(key, {}), both));
      expect(await store.countKeysUnder('old', T0)).toBe(1);
    });
  });
}
