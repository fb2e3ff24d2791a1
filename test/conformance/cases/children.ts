import { describe, expect, test } from 'vitest';
import type { Key } from '../../../src/domain/key.ts';
import type { KeyStore } from '../../../src/storage/key-store.ts';
import type { OpenForCase } from '../key-store.ts';
import { changed, sampleEvent, sampleKey, sampleSecret, storeKey, T0 } from '../samples.ts';

const idsOf = (keys: readonly { readonly id: string }[]) => keys.map(({ id }) => id);

export function childCases(open: OpenForCase<KeyStore>): void {
  describe('children', () => {
    test('are the keys whose parent it is, whole, by id, in whatever state and keyspace', async () => {
      const store = await open();
      const parent = await storeKey(store);
      const bare = sampleKey({ parentKeyId: parent.id, createTime: T0 + 5 });
      const first = { ...bare, pending: [sampleEvent(bare)] };
      await store.insertKey(first, sampleSecret(first));
      const children = [first];
      for (const fields of [
        { revokeTime: T0 },
        { expireTime: T0 },
        { disabled: true },
        { keyspace: 'shop' },
      ]) {
        children.push({ ...(await storeKey(store, { parentKeyId: parent.id, ...fields })), pending: [] });
      }
      await storeKey(store);
      await storeKey(store, { parentKeyId: first.id });
      expect(await store.listChildren(parent.id, undefined, 9)).toEqual(children);
    });

    test('a key without any has none, nor has one that is not there', async () => {
      const store = await open();
      const key = await storeKey(store);
      expect(await store.listChildren(key.id, undefined, 9)).toEqual([]);
      expect(await store.listChildren('key_nowhere', undefined, 9)).toEqual([]);
      expect(await store.listChildren('', undefined, 9)).toEqual([]);
    });

    test('come in pages, each behind the last id of the one before', async () => {
      const store = await open();
      const parentKeyId = (await storeKey(store)).id;
      const children: Key[] = [];
      for (let index = 0; index < 7; index++) children.push(await storeKey(store, { parentKeyId }));
      const met: string[] = [];
      for (let after: string | undefined; ; after = met.at(-1)) {
        const page = idsOf(await store.listChildren(parentKeyId, after, 3));
        expect(page.length).toBeLessThanOrEqual(3);
        if (page.length === 0) break;
        met.push(...page);
      }
      expect(met).toEqual(idsOf(children));
    });

    test('a key that changes its parent is at once a child of the new one alone', async () => {
      const store = await open();
      const [one, other] = [await storeKey(store), await storeKey(store)];
      const child = await storeKey(store, { parentKeyId: one.id });
      const moved = changed(child, { parentKeyId: other.id });
      await store.replaceKey(moved);
      expect(await store.listChildren(one.id, undefined, 9)).toEqual([]);
      expect(await store.listChildren(other.id, undefined, 9)).toEqual([moved]);
      const { parentKeyId: _, ...orphan } = moved;
      await store.replaceKey(changed(orphan, {}));
      expect(await store.listChildren(other.id, undefined, 9)).toEqual([]);
    });

    test('one that was made after a look is there in the next', async () => {
      const store = await open();
      const parentKeyId = (await storeKey(store)).id;
      expect(await store.listChildren(parentKeyId, undefined, 9)).toEqual([]);
      const child = await storeKey(store, { parentKeyId });
      expect(idsOf(await store.listChildren(parentKeyId, undefined, 9))).toEqual([child.id]);
    });
  });
}
