import { describe, expect, test } from 'vitest';
import type { KeyStore } from '../../../src/storage/key-store.ts';
import type { OpenForCase } from '../key-store.ts';
import { atOnce, changed, sampleKey, sampleKeyspace, sampleSecret, storeKey, T0 } from '../samples.ts';

export function changeCases(open: OpenForCase<KeyStore>): void {
  describe('compare-and-set', () => {
    test('a key is replaced where its revision is the one before', async () => {
      const store = await open();
      const key = await storeKey(store);
      const next = changed(key, { name: 'renamed', disabled: true, expireTime: T0 + 5 });
      expect(await store.replaceKey(next)).toBe(true);
      expect(await store.getKey(key.id)).toEqual(next);
    });

    test('fields that the next version of a key lacks are gone', async () => {
      const store = await open();
      const { owner: _, ...key } = await storeKey(store, { owner: { kind: 'user', id: '1' } });
      expect(await store.replaceKey(changed(key, {}))).toBe(true);
      expect(await store.getKey(key.id)).not.toHaveProperty('owner');
      expect(
        await store.listKeys({ filter: { owner: { kind: 'user', id: '1' } }, limit: 9, now: T0 }),
      ).toEqual([]);
    });

    test('a replaced key is listed by its new values at once', async () => {
      const store = await open();
      const key = await storeKey(store, { name: 'old', displayPrefix: 'acx_old' });
      await store.replaceKey(changed(key, { name: 'new', displayPrefix: 'acx_new', revokeTime: T0 }));
      const list = (filter: object) => store.listKeys({ filter, limit: 9, now: T0 });
      expect(await list({ displayPrefix: 'acx_new', nameContains: 'new', states: ['revoked'] })).toHaveLength(
        1,
      );
      expect(await list({ displayPrefix: 'acx_old' })).toEqual([]);
      expect(await list({ nameContains: 'old' })).toEqual([]);
      expect(await list({ states: ['active'] })).toEqual([]);
    });

    test.each([1, 3, 4])('a key at revision 2 is not replaced by revision %i', async (revision) => {
      const store = await open();
      const first = await storeKey(store);
      const second = changed(first, { name: 'second' });
      await store.replaceKey(second);
      const wrote = await store.replaceKey({ ...second, name: 'third', revision });
      expect(wrote).toBe(revision === 3);
      expect((await store.getKey(first.id))?.name).toBe(revision === 3 ? 'third' : 'second');
    });

    test('a key that is not there is not replaced, and not made', async () => {
      const store = await open();
      for (const revision of [1, 2])
        expect(await store.replaceKey(sampleKey({ id: 'key_x', revision }))).toBe(false);
      expect(await store.getKey('key_x')).toBeUndefined();
    });

    test('of 16 writers of one revision of a key exactly one wins, and its version is stored', async () => {
      const store = await open();
      const key = await storeKey(store);
      const won = await atOnce(16, (index) => store.replaceKey(changed(key, { name: `writer ${index}` })));
      expect(won.filter(Boolean)).toHaveLength(1);
      expect(await store.getKey(key.id)).toEqual(changed(key, { name: `writer ${won.indexOf(true)}` }));
    });

    test('who reads and writes again after losing loses no change of others', async () => {
      const store = await open();
      const key = await storeKey(store, { permissions: [] });
      await atOnce(8, async (index) => {
        for (;;) {
          const current = await store.getKey(key.id);
          if (current === undefined) throw new Error('the key is gone');
          const permissions = [...current.permissions, `writer:${index}`];
          if (await store.replaceKey(changed(current, { permissions }))) return;
        }
      });
      const stored = await store.getKey(key.id);
      expect(stored?.revision).toBe(9);
      expect([...(stored?.permissions ?? [])].sort()).toEqual(
        [0, 1, 2, 3, 4, 5, 6, 7].map((n) => `writer:${n}`),
      );
    });

    test('a change that was acknowledged is what every later read gives', async () => {
      const store = await open();
      let key = await storeKey(store);
      for (let round = 0; round < 20; round++) {
        await store.getKey(key.id);
        key = changed(key, { name: `round ${round}` });
        await store.replaceKey(key);
        expect(await store.getKey(key.id)).toEqual(key);
      }
    });

    test('a change of a key leaves its secret and other keys alone', async () => {
      const store = await open();
      const key = sampleKey();
      const secret = sampleSecret(key);
      await store.insertKey(key, secret);
      const other = await storeKey(store);
      await store.replaceKey(changed(key, { revokeTime: T0, generation: 'another' }));
      expect(await store.findSecret(secret.keyspace, secret.lookup)).toEqual(secret);
      expect(await store.getKey(other.id)).toEqual(other);
    });

    test('a keyspace is replaced where its revision is the one before, and only there', async () => {
      const store = await open();
      const keyspace = sampleKeyspace();
      await store.insertKeyspace(keyspace);
      const next = changed(keyspace, { displayName: 'renamed', maxTtl: 1000 });
      expect(await store.replaceKeyspace(next)).toBe(true);
      expect(await store.replaceKeyspace(next)).toBe(false);
      expect(await store.replaceKeyspace({ ...next, revision: 4 })).toBe(false);
      expect(await store.listKeyspaces()).toEqual([next]);
      expect(await store.replaceKeyspace(sampleKeyspace({ revision: 2 }))).toBe(false);
      expect(await store.listKeyspaces()).toHaveLength(1);
    });

    test('of 16 writers of one revision of a keyspace exactly one wins', async () => {
      const store = await open();
      const keyspace = sampleKeyspace();
      await store.insertKeyspace(keyspace);
      const won = await atOnce(16, (index) =>
        store.replaceKeyspace(changed(keyspace, { displayName: `writer ${index}` })),
      );
      expect(won.filter(Boolean)).toHaveLength(1);
      expect((await store.listKeyspaces())[0]?.displayName).toBe(`writer ${won.indexOf(true)}`);
    });

    test('a registry is there from the start, with 32 random bytes of its own', async () => {
      const [one, other] = [await (await open()).readRegistry(), await (await open()).readRegistry()];
      expect(one.prefixes).toEqual({});
      expect(Buffer.from(one.macKey, 'base64url')).toHaveLength(32);
      expect(one.macKey).not.toBe(other.macKey);
    });

    test('of 16 writers of one revision of the registry exactly one wins', async () => {
      const store = await open();
      const registry = await store.readRegistry();
      const won = await atOnce(16, (index) =>
        store.replaceRegistry(changed(registry, { prefixes: { acx: `acx${index}_` } })),
      );
      expect(won.filter(Boolean)).toHaveLength(1);
      expect(await store.readRegistry()).toEqual(
        changed(registry, { prefixes: { acx: `acx${won.indexOf(true)}_` } }),
      );
    });
  });
}
