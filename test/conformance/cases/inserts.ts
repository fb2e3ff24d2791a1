import { describe, expect, test } from 'vitest';
import type { KeyStore } from '../../../src/storage/key-store.ts';
import type { OpenForCase } from '../key-store.ts';
import { atOnce, sampleKey, sampleKeyspace, sampleSecret, storeKey, unique } from '../samples.ts';

export function insertCases(open: OpenForCase<KeyStore>): void {
  describe('adding', () => {
    test('a key that was added is there with its secret', async () => {
      const store = await open();
      const key = sampleKey();
      const secret = sampleSecret(key);
      expect(await store.insertKey(key, secret)).toBe(true);
      expect(await store.getKey(key.id)).toEqual(key);
      expect(await store.findSecret(secret.keyspace, secret.lookup)).toEqual(secret);
    });

    test('every optional field is given back as it was, and none that was absent appears', async () => {
      const store = await open();
      const key = sampleKey({
        owner: { kind: 'user', id: '42' },
        project: 'web',
        metadata: { team: 'search' },
        allowedCidrs: ['192.0.2.0/24'],
        disabled: true,
        parentKeyId: 'key_parent',
        expireTime: 1,
        revokeTime: 2,
        revokeReason: 'leaked',
      });
      const secret = sampleSecret(key, { algorithm: 'argon2id', pepperId: 'p1', hash: '$argon2id$v=19$x' });
      const bare = sampleKey();
      const bareSecret = sampleSecret(bare);
      await store.insertKey(key, secret);
      await store.insertKey(bare, bareSecret);
      expect(await store.getKey(key.id)).toStrictEqual(key);
      expect(await store.findSecret(secret.keyspace, secret.lookup)).toStrictEqual(secret);
      expect(await store.getKey(bare.id)).toStrictEqual(bare);
      expect(await store.findSecret(bareSecret.keyspace, bareSecret.lookup)).toStrictEqual(bareSecret);
    });

    test('what was never added is undefined, not an error', async () => {
      const store = await open();
      expect(await store.getKey('key_none')).toBeUndefined();
      expect(await store.findSecret('acx', 'none')).toBeUndefined();
    });

    test('a key that was asked for in vain is found once it was added', async () => {
      const store = await open();
      const key = sampleKey();
      const secret = sampleSecret(key);
      await store.getKey(key.id);
      await store.findSecret(secret.keyspace, secret.lookup);
      await store.insertKey(key, secret);
      expect(await store.getKey(key.id)).toEqual(key);
      expect(await store.findSecret(secret.keyspace, secret.lookup)).toEqual(secret);
    });

    test('a key whose id is taken changes nothing: neither the key nor a secret', async () => {
      const store = await open();
      const first = await storeKey(store, { name: 'first' });
      const second = sampleKey({ id: first.id, name: 'second' });
      const secret = sampleSecret(second);
      expect(await store.insertKey(second, secret)).toBe(false);
      expect(await store.getKey(first.id)).toEqual(first);
      expect(await store.findSecret(secret.keyspace, secret.lookup)).toBeUndefined();
    });

    test('a secret whose lookup is taken in its keyspace changes nothing: neither the secret nor a key', async () => {
      const store = await open();
      const first = sampleKey();
      const secret = sampleSecret(first);
      await store.insertKey(first, secret);
      const second = sampleKey();
      expect(await store.insertKey(second, sampleSecret(second, { lookup: secret.lookup }))).toBe(false);
      expect(await store.getKey(second.id)).toBeUndefined();
      expect(await store.findSecret(secret.keyspace, secret.lookup)).toEqual(secret);
    });

    test('one lookup serves a secret in each of two keyspaces', async () => {
      const store = await open();
      const lookup = unique('lookup');
      const keys = [sampleKey({ keyspace: 'acx' }), sampleKey({ keyspace: 'shop' })];
      for (const key of keys) expect(await store.insertKey(key, sampleSecret(key, { lookup }))).toBe(true);
      for (const key of keys) {
        expect((await store.findSecret(key.keyspace, lookup))?.keyId).toBe(key.id);
      }
    });

    test('of 16 keys added at once under one id one wins, and only its secret is there', async () => {
      const store = await open();
      const id = unique('key');
      const pairs = Array.from({ length: 16 }, (_, index) => {
        const key = sampleKey({ id, name: `writer ${index}` });
        return { key, secret: sampleSecret(key) };
      });
      const won = await Promise.all(pairs.map(({ key, secret }) => store.insertKey(key, secret)));
      expect(won.filter(Boolean)).toHaveLength(1);
      const winner = pairs[won.indexOf(true)];
      expect(await store.getKey(id)).toEqual(winner?.key);
      for (const { secret } of pairs) {
        const expected = secret === winner?.secret ? secret : undefined;
        expect(await store.findSecret(secret.keyspace, secret.lookup)).toEqual(expected);
      }
    });

    test('of 16 keys added at once with one secret one wins, and only that key is there', async () => {
      const store = await open();
      const lookup = unique('lookup');
      const keys = Array.from({ length: 16 }, () => sampleKey());
      const won = await Promise.all(keys.map((key) => store.insertKey(key, sampleSecret(key, { lookup }))));
      expect(won.filter(Boolean)).toHaveLength(1);
      const found = await Promise.all(keys.map((key) => store.getKey(key.id)));
      expect(found.map((key) => key !== undefined)).toEqual(won);
      expect((await store.findSecret('acx', lookup))?.keyId).toBe(keys[won.indexOf(true)]?.id);
    });

    test('a keyspace whose id is taken changes nothing', async () => {
      const store = await open();
      const first = sampleKeyspace({ displayName: 'first' });
      expect(await store.insertKeyspace(first)).toBe(true);
      expect(await store.insertKeyspace({ ...first, displayName: 'second' })).toBe(false);
      expect(await store.listKeyspaces()).toEqual([first]);
    });

    test('of 16 keyspaces added at once under one id one wins', async () => {
      const store = await open();
      const id = unique('keyspace');
      const won = await atOnce(16, (index) =>
        store.insertKeyspace(sampleKeyspace({ id, displayName: `writer ${index}` })),
      );
      expect(won.filter(Boolean)).toHaveLength(1);
      const stored = await store.listKeyspaces();
      expect(stored.map(({ displayName }) => displayName)).toEqual([`writer ${won.indexOf(true)}`]);
    });

    test('keyspaces are listed by id', async () => {
      const store = await open();
      for (const id of ['shop', 'acx', 'web-2', 'web-10']) await store.insertKeyspace(sampleKeyspace({ id }));
      expect((await store.listKeyspaces()).map(({ id }) => id)).toEqual(['acx', 'shop', 'web-10', 'web-2']);
    });
  });
}
