import { describe, expect, test } from 'vitest';
import type { KeyStore } from '../../../src/storage/key-store.ts';
import type { OpenForCase } from '../key-store.ts';
import { atOnce, newBatch, storeKey, T0 } from '../samples.ts';

export function usageCases(open: OpenForCase<KeyStore>): void {
  describe('usage', () => {
    test('counts add up, over calls and within one', async () => {
      const store = await open();
      const { id: keyId } = await storeKey(store);
      await store.addUsage(newBatch(), [{ keyId, count: 2, lastUsedTime: T0 }]);
      await store.addUsage(newBatch(), [
        { keyId, count: 3, lastUsedTime: T0 + 1 },
        { keyId, count: 5, lastUsedTime: T0 + 2 },
      ]);
      expect(await store.readUsage([keyId])).toEqual(new Map([[keyId, { count: 10, lastUsedTime: T0 + 2 }]]));
    });

    test('the last use never moves back', async () => {
      const store = await open();
      const { id: keyId } = await storeKey(store);
      await store.addUsage(newBatch(), [{ keyId, count: 1, lastUsedTime: T0 + 9 }]);
      await store.addUsage(newBatch(), [{ keyId, count: 1, lastUsedTime: T0 }]);
      expect((await store.readUsage([keyId])).get(keyId)).toEqual({ count: 2, lastUsedTime: T0 + 9 });
    });

    test('16 writers at once lose no count', async () => {
      const store = await open();
      const keys = await atOnce(3, () => storeKey(store));
      await atOnce(16, (index) =>
        store.addUsage(
          newBatch(),
          keys.map(({ id }) => ({ keyId: id, count: 1, lastUsedTime: T0 + index })),
        ),
      );
      const usage = await store.readUsage(keys.map(({ id }) => id));
      expect([...usage.values()]).toEqual(keys.map(() => ({ count: 16, lastUsedTime: T0 + 15 })));
    });

    test('it is read for those of the keys that were used', async () => {
      const store = await open();
      const used = await storeKey(store);
      const unused = await storeKey(store);
      await store.addUsage(newBatch(), [{ keyId: used.id, count: 1, lastUsedTime: T0 }]);
      expect([...(await store.readUsage([unused.id, used.id, 'key_none'])).keys()]).toEqual([used.id]);
      expect(await store.readUsage([])).toEqual(new Map());
    });

    test('a key that nobody knows harms neither the call nor the other keys', async () => {
      const store = await open();
      const { id: keyId } = await storeKey(store);
      await store.addUsage(newBatch(), [
        { keyId: 'key_none', count: 1, lastUsedTime: T0 },
        { keyId, count: 1, lastUsedTime: T0 },
      ]);
      await store.addUsage(newBatch(), []);
      expect((await store.readUsage([keyId])).get(keyId)?.count).toBe(1);
      expect(await store.getKey('key_none')).toBeUndefined();
      expect(await store.listKeys({ filter: {}, limit: 9, now: T0 })).toHaveLength(1);
    });

    test('a thousand keys may be recorded at once', async () => {
      const store = await open();
      const ids = Array.from({ length: 1000 }, (_, index) => `key_${index}`);
      await store.addUsage(
        newBatch(),
        ids.map((keyId) => ({ keyId, count: 1, lastUsedTime: T0 })),
      );
      const { id: keyId } = await storeKey(store);
      await store.addUsage(
        newBatch(),
        [...ids, keyId].map((id) => ({ keyId: id, count: 1, lastUsedTime: T0 })),
      );
      expect((await store.readUsage([...ids.slice(-100), keyId])).get(keyId)?.count).toBe(1);
    });

    test('it moves no revision and changes no key', async () => {
      const store = await open();
      const key = await storeKey(store);
      await store.addUsage(newBatch(), [{ keyId: key.id, count: 1, lastUsedTime: T0 }]);
      expect(await store.getKey(key.id)).toEqual(key);
    });
  });
}
