import { describe, expect, test } from 'vitest';
import type { OwnerRecord } from '../../../src/domain/owner.ts';
import type { KeyStore, OwnerFilter, OwnerPosition } from '../../../src/storage/key-store.ts';
import type { OpenForCase } from '../key-store.ts';
import { atOnce, changed, sampleEvent, sampleKeyspace, sampleOwner, T0 } from '../samples.ts';

const REVOCATION = { time: T0, actor: { id: 'key_admin', requestId: 'r1' }, reason: 'leaked' };
const ENDED = { generation: 1, revocation: REVOCATION, unmarked: true } as const;

export function ownerCases(open: OpenForCase<KeyStore>): void {
  describe('owners', () => {
    test('a record is given back as it was, and an owner without one has none', async () => {
      const store = await open();
      const plain = await storeOwner(store);
      const full = await storeOwner(store, {
        permissionBound: [],
        notBefore: T0 - 5,
        disabled: true,
        ...ENDED,
      });
      expect(await store.getOwner(plain.id)).toEqual(plain);
      expect(await store.getOwner(full.id)).toEqual(full);
      expect(await store.getOwner('acx/user:nobody')).toBeUndefined();
      expect(await store.readOwners([full.id, 'acx/user:nobody', plain.id])).toEqual(
        new Map([plain, full].map((owner) => [owner.id, owner])),
      );
      expect(await store.readOwners([])).toEqual(new Map());
    });

    test('one that was not there when it was asked for is given once it is', async () => {
      const store = await open();
      const owner = sampleOwner();
      expect(await store.getOwner(owner.id)).toBeUndefined();
      expect(await store.insertOwner(owner)).toBe(true);
      expect(await store.getOwner(owner.id)).toEqual(owner);
    });

    test('a second record of one owner is not made', async () => {
      const store = await open();
      const owner = await storeOwner(store);
      expect(await store.insertOwner({ ...owner, disabled: true })).toBe(false);
      expect(await store.getOwner(owner.id)).toEqual(owner);
    });

    test('owners whose kind and id read alike, and those of other keyspaces, are others', async () => {
      const store = await open();
      const owner = { kind: 'user', id: 'a' };
      const records = [
        await storeOwner(store, { keyspace: 'acx', owner }),
        await storeOwner(store, { keyspace: 'acx', owner: { kind: 'user', id: 'A' } }),
        await storeOwner(store, { keyspace: 'acx', owner: { kind: 'user', id: ':a/b' } }),
        await storeOwner(store, { keyspace: 'acx-b', owner }),
      ];
      for (const record of records) expect(await store.getOwner(record.id)).toEqual(record);
    });

    test('a record is replaced where its revision is the one before, and only there', async () => {
      const store = await open();
      const { permissionBound: _, ...owner } = await storeOwner(store, { permissionBound: ['a'] });
      const next = changed<OwnerRecord>(owner, { disabled: true });
      expect(await store.replaceOwner(next)).toBe(true);
      expect(await store.replaceOwner(next)).toBe(false);
      expect(await store.replaceOwner({ ...next, revision: 4 })).toBe(false);
      expect(await store.getOwner(owner.id)).toEqual(next);
      const missing = sampleOwner({ revision: 2 });
      expect(await store.replaceOwner(missing)).toBe(false);
      expect(await store.getOwner(missing.id)).toBeUndefined();
    });

    test('of 16 who make or change one record exactly one wins, and every later read gives what it wrote', async () => {
      const store = await open();
      const owner = sampleOwner();
      const made = await atOnce(16, (n) => store.insertOwner({ ...owner, notBefore: n }));
      expect(made.filter(Boolean)).toHaveLength(1);
      const first = { ...owner, notBefore: made.indexOf(true) };
      expect(await store.getOwner(owner.id)).toEqual(first);
      const won = await atOnce(16, (n) => store.replaceOwner(changed(first, { notBefore: 100 + n })));
      expect(won.filter(Boolean)).toHaveLength(1);
      expect(await store.getOwner(owner.id)).toEqual(changed(first, { notBefore: 100 + won.indexOf(true) }));
    });

    test('are listed by keyspace, kind and id, byte by byte, and filtered', async () => {
      const store = await open();
      const places = [
        ['acx', 'team', 'b'],
        ['acx', 'user', 'A'],
        ['acx', 'user', 'a'],
        ['acx', 'user', 'é'],
        ['acx', 'user', '\uffff'],
        ['acx', 'user', '🔑'],
        ['acx-b', 'user', 'a'],
        ['b', 'team', 'z'],
      ] as const;
      const records = places.map(([keyspace, kind, id], index) =>
        sampleOwner({ keyspace, owner: { kind, id }, disabled: index % 2 === 1 }),
      );
      for (const record of [...records].reverse()) await store.insertOwner(record);
      const ids = records.map(({ id }) => id);
      const matching = (passes: (record: OwnerRecord) => boolean) =>
        records.filter(passes).map(({ id }) => id);
      expect(await walked(store, {}, 100)).toEqual(ids);
      const filters: [OwnerFilter, (record: OwnerRecord) => boolean][] = [
        [{}, () => true],
        [{ keyspaces: [] }, () => false],
        [{ keyspaces: ['acx'] }, ({ keyspace }) => keyspace === 'acx'],
        [{ keyspaces: ['b', 'acx', 'acx'] }, ({ keyspace }) => keyspace !== 'acx-b'],
        [{ kind: 'user' }, ({ owner }) => owner.kind === 'user'],
        [{ kind: 'team', keyspaces: ['acx', 'acx-b', 'b'] }, ({ owner }) => owner.kind === 'team'],
        [{ disabled: true }, ({ disabled }) => disabled],
        [
          { disabled: false, keyspaces: ['acx'], kind: 'user' },
          ({ disabled, keyspace, owner }) => !disabled && keyspace === 'acx' && owner.kind === 'user',
        ],
      ];
      for (const [filter, passes] of filters) {
        for (const size of [1, 2, 100]) expect(await walked(store, filter, size)).toEqual(matching(passes));
      }
    });

    test('and keyspaces are unmarked until marking was finished for the generation that lives, and keep their revision', async () => {
      const store = await open();
      const keyspace = sampleKeyspace(ENDED);
      await store.insertKeyspace(keyspace);
      const owner = await storeOwner(store, ENDED);
      await storeOwner(store);
      expect(await store.listUnmarkedOwners(9)).toEqual([owner]);
      const records = [
        { kind: 'owner', id: owner.id },
        { kind: 'keyspace', id: keyspace.id },
      ] as const;

      for (const record of records) await store.finishMarking(record, 2);
      expect(await store.getOwner(owner.id)).toEqual(owner);
      expect(await store.listKeyspaces()).toEqual([keyspace]);

      for (const record of records) await store.finishMarking(record, 1);
      for (const record of records) await store.finishMarking(record, 1);
      const { unmarked: _, ...marked } = owner;
      expect(await store.getOwner(owner.id)).toEqual(marked);
      expect(await store.listUnmarkedOwners(9)).toEqual([]);
      const { unmarked: __, ...markedKeyspace } = keyspace;
      expect(await store.listKeyspaces()).toEqual([markedKeyspace]);

      const again = changed<OwnerRecord>(marked, { ...ENDED, generation: 2 });
      expect(await store.replaceOwner(again)).toBe(true);
      await store.finishMarking({ kind: 'owner', id: owner.id }, 1);
      expect(await store.listUnmarkedOwners(9)).toEqual([again]);
      expect(await store.replaceKeyspace(changed<typeof keyspace>(markedKeyspace, ENDED))).toBe(true);
      expect((await store.listKeyspaces())[0]?.unmarked).toBe(true);
    });

    test('at most as many unmarked ones are given as were asked for', async () => {
      const store = await open();
      for (let made = 0; made < 3; made++) await storeOwner(store, ENDED);
      expect(await store.listUnmarkedOwners(2)).toHaveLength(2);
    });

    test('events of a record are published like those of a key', async () => {
      const store = await open();
      const { keyId: _, ...event } = sampleEvent({ id: '', revision: 1 });
      const owner = await storeOwner(store, { pending: [event] });
      const record = { kind: 'owner', id: owner.id } as const;
      expect(await store.listUnpublished(9)).toEqual([record]);
      await store.publishEvents(record);
      expect(await store.listEvents(record)).toEqual([event]);
      expect(await store.listUnpublished(9)).toEqual([]);
      expect(await store.getOwner(owner.id)).toEqual({ ...owner, pending: [] });
      await store.publishEvents({ kind: 'owner', id: 'acx/user:nobody' });
    });
  });
}

async function storeOwner(store: KeyStore, fields: Partial<OwnerRecord> = {}): Promise<OwnerRecord> {
  const owner = sampleOwner(fields);
  if (!(await store.insertOwner(owner))) throw new Error('the sample owner was not stored');
  return owner;
}

/** Ids of all owners that pass, read in pages of this size. */
async function walked(store: KeyStore, filter: OwnerFilter, size: number): Promise<string[]> {
  const met: string[] = [];
  let after: OwnerPosition | undefined;
  do {
    const owners = await store.listOwners(filter, after, size);
    expect(owners.length).toBeLessThanOrEqual(size);
    met.push(...owners.map(({ id }) => id));
    after = owners.at(-1);
  } while (after !== undefined);
  return met;
}
