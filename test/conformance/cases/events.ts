import { describe, expect, test } from 'vitest';
import type { AuditEvent } from '../../../src/domain/event.ts';
import type { Key } from '../../../src/domain/key.ts';
import type { KeyStore } from '../../../src/storage/key-store.ts';
import type { OpenForCase } from '../key-store.ts';
import {
  atOnce,
  changed,
  sampleEvent,
  sampleKey,
  sampleKeyspace,
  sampleSecret,
  T0,
  unique,
} from '../samples.ts';

export function eventCases(open: OpenForCase<KeyStore>): void {
  describe('events', () => {
    test('a published event is in the trail and no longer pending, and the revision stays', async () => {
      const store = await open();
      const key = await storeEventful(store, 2);
      expect(await store.listEvents({ kind: 'key', id: key.id })).toEqual([]);
      await store.publishEvents({ kind: 'key', id: key.id });
      expect(await store.listEvents({ kind: 'key', id: key.id })).toEqual(key.pending);
      expect(await store.getKey(key.id)).toEqual({ ...key, pending: [] });
    });

    test('events of a keyspace are published likewise', async () => {
      const store = await open();
      const { keyId: _, ...event } = sampleEvent({ id: 'acx', revision: 1 });
      const keyspace = sampleKeyspace({ id: 'acx', pending: [event] });
      await store.insertKeyspace(keyspace);
      expect(await store.listKeyspaces()).toEqual([keyspace]);
      await store.publishEvents({ kind: 'keyspace', id: 'acx' });
      expect(await store.listEvents({ kind: 'keyspace', id: 'acx' })).toEqual([event]);
      expect(await store.listEvents({ kind: 'key', id: 'acx' })).toEqual([]);
      expect(await store.listKeyspaces()).toEqual([{ ...keyspace, pending: [] }]);
    });

    test('publishing again, and eight times at once, leaves each event in the trail once', async () => {
      const store = await open();
      const key = await storeEventful(store, 3);
      await atOnce(8, () => store.publishEvents({ kind: 'key', id: key.id }));
      await store.publishEvents({ kind: 'key', id: key.id });
      expect(await store.listEvents({ kind: 'key', id: key.id })).toEqual(key.pending);
    });

    test('an event that a later version of its record still carries is in the trail once', async () => {
      const store = await open();
      const key = await storeEventful(store, 1);
      await store.publishEvents({ kind: 'key', id: key.id });
      expect(await store.replaceKey(changed(key, {}))).toBe(true);
      await store.publishEvents({ kind: 'key', id: key.id });
      expect(await store.listEvents({ kind: 'key', id: key.id })).toEqual(key.pending);
      expect((await store.getKey(key.id))?.pending).toEqual([]);
    });

    test('events of revisions beyond the one asked for stay pending, and are published when their turn comes', async () => {
      const store = await open();
      const key = await storeEventful(store, 2);
      const bare = changed(key, {});
      const next = { ...bare, pending: [...key.pending, sampleEvent(bare)] };
      expect(await store.replaceKey(next)).toBe(true);
      const target = { kind: 'key', id: key.id } as const;
      await store.publishEvents(target, key.revision);
      expect(await store.listEvents(target)).toEqual(key.pending);
      expect((await store.getKey(key.id))?.pending).toEqual(next.pending.slice(2));
      expect(await store.listUnpublished(9)).toContainEqual(target);
      await store.publishEvents(target, next.revision);
      expect(await store.listEvents(target)).toEqual(next.pending);
      expect(await store.getKey(key.id)).toEqual({ ...next, pending: [] });
      expect(await store.listUnpublished(9)).not.toContainEqual(target);
    });

    test('publishing a record that is not there does nothing', async () => {
      const store = await open();
      await store.publishEvents({ kind: 'key', id: 'key_none' });
      await store.publishEvents({ kind: 'keyspace', id: 'none' });
      expect(await store.listEvents({ kind: 'key', id: 'key_none' })).toEqual([]);
    });

    test('the trail of a record is in the order of revisions, whatever the clock said', async () => {
      const store = await open();
      let key = await storeEventful(store, 1);
      for (const time of [T0 - 5, T0 + 5, T0 - 9]) {
        await store.publishEvents({ kind: 'key', id: key.id });
        key = changed(key, {});
        key = { ...key, pending: [{ ...sampleEvent(key), time }] };
        await store.replaceKey(key);
      }
      await store.publishEvents({ kind: 'key', id: key.id });
      const events = await store.listEvents({ kind: 'key', id: key.id });
      expect(events.map(({ revision }) => revision)).toEqual([1, 2, 3, 4]);
    });

    test('publishing that races with changes loses no event and no change', async () => {
      const store = await open();
      const { id } = await storeEventful(store, 1);
      const rounds = Array.from({ length: 12 }, () => unique('permission'));
      const writers = rounds.map(async (permission) => {
        for (;;) {
          const key = await store.getKey(id);
          if (key === undefined) throw new Error('the key is gone');
          const next = changed(key, { permissions: [...key.permissions, permission] });
          if (await store.replaceKey({ ...next, pending: [...key.pending, sampleEvent(next)] })) return;
        }
      });
      const publishers = rounds.map(() => store.publishEvents({ kind: 'key', id }));
      await Promise.all([...writers, ...publishers]);
      await store.publishEvents({ kind: 'key', id });

      const key = await store.getKey(id);
      expect(key).toMatchObject({ revision: 13, pending: [] });
      expect(rounds.filter((permission) => !key?.permissions.includes(permission))).toEqual([]);
      const events = await store.listEvents({ kind: 'key', id });
      expect(events.map(({ revision }) => revision)).toEqual(
        Array.from({ length: 13 }, (_, index) => index + 1),
      );
    });

    test('unpublished records of both kinds are listed, oldest first', async () => {
      const store = await open();
      const young = await storeEventful(store, 1, { updateTime: T0 + 3 });
      const old = await storeEventful(store, 1, { updateTime: T0 + 1 });
      await storeEventful(store, 0, { updateTime: T0 });
      const event = sampleEvent({ id: 'acx', revision: 1 });
      await store.insertKeyspace(sampleKeyspace({ id: 'acx', updateTime: T0 + 2, pending: [event] }));
      const expected = [
        { kind: 'key', id: old.id },
        { kind: 'keyspace', id: 'acx' },
        { kind: 'key', id: young.id },
      ];
      expect(await store.listUnpublished(9)).toEqual(expected);
      expect(await store.listUnpublished(2)).toEqual(expected.slice(0, 2));
    });

    test('a record is listed as unpublished until its events were published', async () => {
      const store = await open();
      const key = await storeEventful(store, 1);
      const record = { kind: 'key', id: key.id } as const;
      expect(await store.listUnpublished(9)).toEqual([record]);
      await store.publishEvents(record);
      expect(await store.listUnpublished(9)).toEqual([]);
      const next = changed({ ...key, pending: [] as AuditEvent[] }, {});
      await store.replaceKey({ ...next, pending: [sampleEvent(next)] });
      expect(await store.listUnpublished(9)).toEqual([record]);
    });
  });
}

/** A stored key with this many unpublished events. */
async function storeEventful(store: KeyStore, count: number, fields: Partial<Key> = {}): Promise<Key> {
  const bare = sampleKey(fields);
  const key = { ...bare, pending: Array.from({ length: count }, () => sampleEvent(bare)) };
  await store.insertKey(key, sampleSecret(key));
  return key;
}
