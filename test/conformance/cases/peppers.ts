import { describe, expect, test } from 'vitest';
import type { Key } from '../../../src/domain/key.ts';
import type { KeyStore } from '../../../src/storage/key-store.ts';
import type { OpenForCase } from '../key-store.ts';
import { changed, sampleKey, sampleSecret, storeKey, T0 } from '../samples.ts';

export function pepperCases(open: OpenForCase<KeyStore>): void {
  describe('peppers', () => {
    test('the keys under each pepper are counted', async () => {
      const store = await open();
      for (const pepper of ['p1', 'p1', 'p2']) await storePeppered(store, pepper);
      await storeKey(store);
      expect((await store.listPeppers()).sort()).toEqual(['p1', 'p2']);
      const counts = ['p1', 'p2', 'p3'].map((pepper) => store.countKeysUnder(pepper, T0));
      expect(await Promise.all(counts)).toEqual([2, 1, 0]);
    });

    test('where no secret was peppered there are none', async () => {
      const store = await open();
      await storeKey(store);
      expect(await store.listPeppers()).toEqual([]);
    });

    test('a key that is disabled is counted: it may be enabled again', async () => {
      const store = await open();
      await storePeppered(store, 'p1', { disabled: true });
      expect(await store.countKeysUnder('p1', T0)).toBe(1);
    });

    test('keys that are revoked or expired are not counted', async () => {
      const store = await open();
      await storePeppered(store, 'p1', { revokeTime: T0 });
      await storePeppered(store, 'p2', { expireTime: T0 });
      expect(await store.countKeysUnder('p1', T0)).toBe(0);
      expect(await store.countKeysUnder('p2', T0)).toBe(0);
      expect(await store.countKeysUnder('p2', T0 - 1)).toBe(1);
    });

    test('a secret of a generation that its key no longer accepts is not counted', async () => {
      const store = await open();
      const key = await storePeppered(store, 'p1');
      await store.replaceKey(changed(key, { generation: 'next' }));
      expect(await store.countKeysUnder('p1', T0)).toBe(0);
    });
  });
}

async function storePeppered(store: KeyStore, pepperId: string, fields: Partial<Key> = {}): Promise<Key> {
  const key = sampleKey(fields);
  await store.insertKey(key, sampleSecret(key, { algorithm: 'hmac-sha256', pepperId }));
  return key;
}
