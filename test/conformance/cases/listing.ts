import { describe, expect, test } from 'vitest';
import type { Key, KeyState } from '../../../src/domain/key.ts';
import type { KeyFilter, KeyPosition, KeyStore } from '../../../src/storage/key-store.ts';
import type { OpenForCase } from '../key-store.ts';
import { idsOf, newBatch, sampleKey, sampleSecret, storeKey, T0 } from '../samples.ts';

export function listingCases(open: OpenForCase<KeyStore>): void {
  describe('listing', () => {
    test('keys are listed newest first, by id where their times are equal', async () => {
      const store = await open();
      const times = [5, 1, 5, 3, 5];
      const keys = await Promise.all(times.map((time) => storeKey(store, { createTime: T0 + time })));
      const [a, b, c, d, e] = keys.map(({ id }) => id);
      expect(idsOf(await store.listKeys({ filter: {}, limit: 9, now: T0 }))).toEqual([e, c, a, d, b]);
    });

    test('a page holds at most its limit, and the last one what is left', async () => {
      const store = await open();
      for (let index = 0; index < 5; index++) await storeKey(store, { createTime: T0 + index });
      const first = await store.listKeys({ filter: {}, limit: 3, now: T0 });
      const second = await store.listKeys({ filter: {}, limit: 3, now: T0, ...behind(first) });
      expect([first.length, second.length]).toEqual([3, 2]);
      expect(await store.listKeys({ filter: {}, limit: 3, now: T0, ...behind(second) })).toEqual([]);
    });

    test('a walk may go on from a place where no key is', async () => {
      const store = await open();
      const old = await storeKey(store, { createTime: T0 });
      await storeKey(store, { createTime: T0 + 2 });
      const after = { createTime: T0 + 1, id: 'key_zzz' };
      expect(idsOf(await store.listKeys({ filter: {}, limit: 9, now: T0, after }))).toEqual([old.id]);
    });

    test('time bounds hold wherever the walk goes on', async () => {
      const store = await open();
      const [a, b] = [await storeKey(store, { createTime: T0 }), await storeKey(store, { createTime: T0 })];
      const list = async (filter: KeyFilter, createTime: number) =>
        idsOf(await store.listKeys({ filter, limit: 9, now: T0, after: { createTime, id: b.id } }));
      expect(await list({ createdBefore: T0 + 1 }, T0 + 5)).toEqual([b.id, a.id]);
      expect(await list({ createdBefore: T0 + 1 }, T0)).toEqual([a.id]);
      expect(await list({ createdBefore: T0 }, T0)).toEqual([]);
      expect(await list({ createdAfter: T0 + 1 }, T0 + 5)).toEqual([]);
    });

    const shapes: readonly (readonly [string, KeyFilter])[] = [
      ['all keys', {}],
      ['a keyspace', { keyspaces: ['acx'] }],
      ['several keyspaces', { keyspaces: ['acx', 'shop', 'acx', 'none'] }],
      ['an owner', { owner: { kind: 'user', id: '1' } }],
      ['a project', { project: 'web' }],
    ];
    test.each(shapes)(
      'a walk over %s meets each key exactly once while others are being created',
      async (_, filter) => {
        const store = await open();
        const fields = (index: number) => ({
          keyspace: index % 2 === 0 ? 'acx' : 'shop',
          owner: { kind: 'user', id: '1' },
          project: 'web',
          createTime: T0 + Math.floor(index / 5),
        });
        const before: Key[] = [];
        for (let index = 0; index < 40; index++) before.push(await storeKey(store, fields(index)));
        const expected = before.filter(({ keyspace }) => filter.keyspaces?.includes(keyspace) ?? true);

        const met: string[] = [];
        let after: { after?: KeyPosition } = {};
        for (let round = 0; ; round++) {
          // Newer than all, at the walk's own place, and older than all: begun before the page is.
          const created = [T0 + 100, after.after?.createTime ?? T0, T0 - 1].map((createTime) =>
            storeKey(store, { ...fields(round), createTime }),
          );
          const page = await store.listKeys({ filter, limit: 3, now: T0, ...after });
          await Promise.all(created);
          met.push(...idsOf(page));
          after = behind(page);
          if (after.after === undefined || after.after.createTime < T0) break;
        }
        expect(new Set(met).size).toBe(met.length);
        const old = new Set(expected.map(({ id }) => id));
        expect(met.filter((id) => old.has(id)).sort()).toEqual([...old].sort());
      },
    );

    test('a filter on keyspaces that names none finds none', async () => {
      const store = await open();
      await storeKey(store);
      expect(await store.listKeys({ filter: { keyspaces: [] }, limit: 9, now: T0 })).toEqual([]);
      expect(await store.countKeys({ keyspaces: [] }, T0)).toEqual({ total: 0, active: 0, revoked: 0 });
    });

    test('a filter on states that names none finds none', async () => {
      const store = await open();
      await storeKey(store);
      expect(await store.listKeys({ filter: { states: [] }, limit: 9, now: T0 })).toEqual([]);
    });

    test('an empty project means the keys that are bound to none', async () => {
      const store = await open();
      const unbound = await storeKey(store);
      await storeKey(store, { project: 'web' });
      for (const filter of [{ project: '' }, { project: '', keyspaces: ['acx'] }]) {
        expect(idsOf(await store.listKeys({ filter, limit: 9, now: T0 }))).toEqual([unbound.id]);
      }
    });

    test.each([
      ['ÄRGER', 'ärg'],
      ['ärger', 'ÄRG'],
      ['İstanbul', 'i\u0307stan'],
      ['Straße', 'ßE'],
      ['ΣΊΣΥΦΟΣ', 'σίσυφος'],
      ['100% of_it', '0% o'],
      ['100% of_it', 'F_I'],
      ["O'Brien", "'b"],
      ['🔑 prod', '🔑'],
      ['anything', ''],
    ])('the name %j contains %j', async (name, nameContains) => {
      const store = await open();
      const key = await storeKey(store, { name });
      expect(idsOf(await store.listKeys({ filter: { nameContains }, limit: 9, now: T0 }))).toEqual([key.id]);
    });

    test.each([
      ['abc', '%'],
      ['abc', 'a_c'],
      ['abc', 'a.c'],
      ['abc', '.*'],
      ['strasse', 'ß'],
      ['e\u0301', 'é'],
    ])('the name %j does not contain %j', async (name, nameContains) => {
      const store = await open();
      await storeKey(store, { name });
      expect(await store.listKeys({ filter: { nameContains }, limit: 9, now: T0 })).toEqual([]);
    });

    test('a key is expired from its expire_time on, that moment included', async () => {
      const store = await open();
      await storeKey(store, { expireTime: T0 });
      const states = async (now: number) => {
        const all: KeyState[] = ['active', 'disabled', 'expired', 'revoked'];
        const pages = await Promise.all(
          all.map((state) => store.listKeys({ filter: { states: [state] }, limit: 9, now })),
        );
        return all.filter((_, index) => pages[index]?.length === 1);
      };
      expect(await states(T0 - 1)).toEqual(['active']);
      expect(await states(T0)).toEqual(['expired']);
      expect(await store.countKeys({}, T0 - 1)).toEqual({ total: 1, active: 1, revoked: 0 });
      expect(await store.countKeys({}, T0)).toEqual({ total: 1, active: 0, revoked: 0 });
    });

    test('a count does not regard the states that a filter names', async () => {
      const store = await open();
      await storeKey(store);
      await storeKey(store, { revokeTime: T0 });
      expect(await store.countKeys({ states: ['revoked'] }, T0)).toEqual({ total: 2, active: 1, revoked: 1 });
    });

    test('keys are listed with their usage, where they were ever used', async () => {
      const store = await open();
      const unused = await storeKey(store, { createTime: T0 });
      const used = sampleKey({ createTime: T0 + 1 });
      await store.insertKey(used, sampleSecret(used));
      await store.addUsage(newBatch(), [{ keyId: used.id, count: 2, lastUsedTime: T0 + 9 }]);
      expect(await store.listKeys({ filter: {}, limit: 9, now: T0 })).toEqual([
        { key: used, usage: { count: 2, lastUsedTime: T0 + 9 } },
        { key: unused, usage: undefined },
      ]);
    });
  });
}

/** Where the walk goes on behind a page; nothing where the page was empty. */
function behind(page: Awaited<ReturnType<KeyStore['listKeys']>>): { after?: KeyPosition } {
  const last = page.at(-1)?.key;
  return last === undefined ? {} : { after: { createTime: last.createTime, id: last.id } };
}
