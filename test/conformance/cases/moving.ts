import { describe, expect, test } from 'vitest';
import { REQUEST_TTL } from '../../../src/domain/request.ts';
import { canonicalText } from '../../../src/storage/copy/digest.ts';
import {
  BATCH,
  MOVED_KINDS,
  type MovableStore,
  type Moved,
  type MovedKind,
} from '../../../src/storage/movable-store.ts';
import { StoreUnusable } from '../../../src/storage/unusable.ts';
import type { OpenForCase } from '../key-store.ts';
import { type All, allOf, fill, putAll, sorted } from '../moved-samples.ts';
import {
  changed,
  newBatch,
  sampleEvent,
  sampleKey,
  sampleKeyspace,
  sampleOwner,
  sampleRequest,
  sampleSecret,
  storeKey,
  T0,
  unique,
} from '../samples.ts';

const HARD_TEXTS = [
  `it's "quoted" and \\ escaped`,
  'a\u0000b',
  '🔑 key, 鍵, مفتاح, e\u0301, \ud800',
  '\u2028\r\n\t',
  '$where',
  'a.b.$c',
];

export function movingCases(open: OpenForCase<MovableStore>): void {
  describe('moving', () => {
    test('a new store holds a registry and nothing else', async () => {
      const store = await open();
      await store.ping();
      expect(await allOf(store)).toEqual({
        registry: [await store.readRegistry()],
        keyspace: [],
        owner: [],
        key: [],
        secret: [],
        usage: [],
        event: [],
        request: [],
      });
    });

    test('every record of every kind is given once, as it is', async () => {
      const store = await open();
      const filled = await fill(store);
      expect(await allOf(store)).toEqual(filled);
    });

    test('what another store gave is written as it was, and works', async () => {
      const filled = await fill(await open());
      const store = await open();
      await putAll(store, filled);
      expect(await allOf(store)).toEqual(filled);

      const [key] = filled.key;
      const [secret] = filled.secret;
      if (key === undefined || secret === undefined) throw new Error('there is no key');
      expect(await store.readRegistry()).toEqual(filled.registry[0]);
      expect(await store.listKeyspaces()).toEqual(filled.keyspace);
      expect(await store.getKey(key.id)).toEqual(key);
      expect(await store.findSecret(secret.keyspace, secret.lookup)).toEqual(secret);
      expect(await store.insertKey(key, secret)).toBe(false);
      expect(await store.replaceKey(changed(key, { name: 'changed' }))).toBe(true);
      const [event] = filled.event;
      expect(await store.listEvents(event?.record ?? { kind: 'key', id: '' })).toContainEqual(event?.event);
      const listed = await store.listKeys({ filter: {}, limit: 99, now: T0 });
      const usage = new Map(filled.usage.map(({ keyId, ...rest }) => [keyId, rest]));
      expect(new Map(listed.map((one) => [one.key.id, one.usage]))).toEqual(
        new Map(filled.key.map(({ id }) => [id, usage.get(id)])),
      );
    });

    test('events that wait are moved with their record, and published where it is then', async () => {
      const store = await open();
      const bare = sampleKey();
      const key = { ...bare, pending: [sampleEvent(bare)] };
      const keyspace = sampleKeyspace();
      const made = { ...keyspace, pending: [sampleEvent(keyspace)] };
      const silent = sampleOwner();
      const owner = { ...silent, pending: [sampleEvent(silent)] };
      await store.putRecords('key', [key]);
      await store.putRecords('keyspace', [made]);
      await store.putRecords('owner', [owner]);
      expect(await store.getKey(key.id)).toEqual(key);
      expect(await store.getOwner(owner.id)).toEqual(owner);
      expect(await store.listUnpublished(9)).toHaveLength(3);
      for (const record of await store.listUnpublished(9)) await store.publishEvents(record);
      expect(await store.listEvents({ kind: 'key', id: key.id })).toEqual(key.pending);
      expect(await store.listEvents({ kind: 'keyspace', id: made.id })).toEqual(made.pending);
      expect(await store.listEvents({ kind: 'owner', id: owner.id })).toEqual(owner.pending);
    });

    test('an ended generation whose dead keys are not marked is moved as such, and marked where it is then', async () => {
      const store = await open();
      const { keyspace, owner } = await fill(await open());
      await store.putRecords('keyspace', keyspace);
      await store.putRecords('owner', owner);
      const unmarked = owner.filter((one) => one.unmarked);
      expect(unmarked).toHaveLength(1);
      expect(await store.listUnmarkedOwners(9)).toEqual(unmarked);
      const ended = keyspace.filter((one) => one.unmarked);
      expect(ended).toHaveLength(1);
      for (const { id, generation = 0 } of unmarked)
        await store.finishMarking({ kind: 'owner', id }, generation);
      for (const { id, generation = 0 } of ended)
        await store.finishMarking({ kind: 'keyspace', id }, generation);
      expect(await store.listUnmarkedOwners(9)).toEqual([]);
      expect((await store.listKeyspaces()).some((one) => one.unmarked)).toBe(false);
    });

    test('a request that was moved is known, and finished or released as any', async () => {
      const store = await open();
      const expireTime = Date.now() + REQUEST_TTL;
      const [one, other] = [sampleRequest({ expireTime }), sampleRequest({ expireTime, done: true })];
      await store.putRecords('request', [one, other]);
      expect(await store.insertRequest({ ...one, fingerprint: 'other' })).toBe(false);
      await store.finishRequest(one);
      expect(await store.readRequest(one.id)).toEqual({ ...one, done: true });
      await store.releaseRequest(other);
      expect(await store.readRequest(other.id)).toBeUndefined();
    });

    test('use goes on being counted where it was', async () => {
      const store = await open();
      const { id: keyId } = await storeKey(store);
      await store.putRecords('usage', [{ keyId, count: 7, lastUsedTime: T0 }]);
      await store.addUsage(newBatch(), [{ keyId, count: 2, lastUsedTime: T0 + 1 }]);
      expect(await store.readUsage([keyId])).toEqual(new Map([[keyId, { count: 9, lastUsedTime: T0 + 1 }]]));
    });

    test('writing again changes nothing', async () => {
      const store = await open();
      const filled = await fill(await open());
      await putAll(store, filled);
      await putAll(store, filled);
      expect(await allOf(store)).toEqual(filled);
    });

    test('writing replaces what has the ids, and adds the rest', async () => {
      const store = await open();
      const filled = await fill(store);
      const other = sorted({
        registry: filled.registry.map((one) => ({ ...one, prefixes: {} })),
        keyspace: filled.keyspace.map((one) => ({ ...one, revision: 99, pending: [] })),
        owner: filled.owner.map((one) => ({ ...one, disabled: true, revision: 99, pending: [] })),
        key: filled.key.map((one) => ({ ...one, name: 'other', revision: 99, pending: [] })),
        secret: filled.secret.map((one) => ({ ...one, generation: 'other' })),
        usage: filled.usage.map((one) => ({ ...one, count: 1 })),
        event: filled.event.map((one) => ({ ...one, event: { ...one.event, actor: 'other' } })),
        request: filled.request.map((one) => ({ ...one, fingerprint: 'other' })),
      });
      await putAll(store, other);
      expect(await allOf(store)).toEqual(other);
      expect(await store.listUnpublished(9)).toEqual([]);
      const added = sampleKey({ id: 'key_zzz' });
      const again = filled.key.map((one) => ({ ...one, revision: 100 }));
      await store.putRecords('key', [added, ...again]);
      const all = { ...other, key: [added, ...again] };
      expect(await allOf(store)).toEqual(sorted(all));
    });

    test('nothing may be written', async () => {
      const store = await open();
      for (const kind of MOVED_KINDS) await store.putRecords(kind, []);
      expect((await allOf(store)).key).toEqual([]);
    });

    test('each position goes on with the record behind it', async () => {
      const store = await open();
      await fill(store);
      for (const kind of MOVED_KINDS) {
        for await (const { records, position } of store.batches(kind)) {
          const all = await recordsOf(store, kind);
          expect(all.slice(0, records.length)).toEqual(records);
          expect(await recordsOf(store, kind, position)).toEqual(all.slice(records.length));
          break;
        }
      }
    });

    test('records come in batches, and each batch is a place to go on from', async () => {
      const store = await open();
      const count = 2 * BATCH + 7;
      const keys = Array.from({ length: count }, () => sampleKey());
      const secrets = keys.map((key, index) =>
        sampleSecret(key, { keyspace: ['a', 'a-b', 'a.b', 'b'][index % 4] ?? '' }),
      );
      for (let start = 0; start < count; start += BATCH) {
        await store.putRecords('key', keys.slice(start, start + BATCH));
        await store.putRecords('secret', secrets.slice(start, start + BATCH));
      }
      for (const kind of ['key', 'secret'] as const) {
        const seen: unknown[] = [];
        for await (const { records, position } of store.batches(kind)) {
          expect(records.length).toBeLessThanOrEqual(BATCH);
          seen.push(...records);
          const rest = await recordsOf(store, kind, position);
          expect(rest).toHaveLength(count - seen.length);
          expect(new Set([...seen, ...rest].map((one) => JSON.stringify(one))).size).toBe(count);
        }
        expect(seen).toHaveLength(count);
      }
      const { key, secret, registry } = await store.estimateRecords();
      expect({ key, secret, registry }).toEqual({ key: count, secret: count, registry: 1 });
    });

    test('a reader may stop early', async () => {
      const store = await open();
      const { key } = await fill(store);
      for await (const { records } of store.batches('key')) {
        expect(records.length).toBeGreaterThan(0);
        break;
      }
      await storeKey(store);
      expect(await recordsOf(store, 'key')).toHaveLength(key.length + 1);
    });

    test.each(HARD_TEXTS)('text is moved as it is, wherever it stands: %j', async (text) => {
      const metadata = Object.fromEntries([text, '__proto__', '_id', '', 'a.b'].map((name) => [name, text]));
      const key = sampleKey({ name: text, metadata, project: text, revokeReason: text, permissions: [text] });
      const event = { ...sampleEvent(key), onBehalfOf: text, requestId: text };
      const given: All = {
        registry: [{ revision: 7, prefixes: metadata, macKey: text, pepperChecks: metadata }],
        keyspace: [sampleKeyspace({ displayName: text, keyDefaults: { metadata, permissions: [text] } })],
        owner: [sampleOwner({ owner: { kind: 'user', id: text }, permissionBound: [text] })],
        key: [{ ...key, pending: [event] }],
        secret: [],
        usage: [],
        event: [{ record: { kind: 'key', id: key.id }, event: { ...event, id: unique('evt') } }],
        request: [],
      };
      const store = await open();
      await putAll(store, given);
      // As text, because toEqual does not see a field named __proto__.
      expect(canonicalText(await allOf(store))).toBe(canonicalText(given));
    });

    test('a note is read as it was last written, and is none of the records', async () => {
      const store = await open();
      const before = await allOf(store);
      expect(await store.readCopyNote()).toBeUndefined();
      expect(await store.writeCopyNote('one', undefined)).toBe(true);
      expect(await store.writeCopyNote('{"$set": "two"}', 'one')).toBe(true);
      expect(await store.readCopyNote()).toBe('{"$set": "two"}');
      expect(await allOf(store)).toEqual(before);
      expect(await store.writeCopyNote(undefined, '{"$set": "two"}')).toBe(true);
      expect(await store.readCopyNote()).toBeUndefined();
    });

    test('a note is not written over another one than it was meant to follow', async () => {
      const store = await open();
      await store.writeCopyNote('one', undefined);
      for (const before of [undefined, 'none']) {
        expect(await store.writeCopyNote('late', before)).toBe(false);
        expect(await store.writeCopyNote(undefined, before)).toBe(false);
      }
      expect(await store.readCopyNote()).toBe('one');
      await store.writeCopyNote(undefined, 'one');
      expect(await store.writeCopyNote('late', 'one')).toBe(false);
      expect(await store.readCopyNote()).toBeUndefined();
    });

    test('after closing it cannot answer, and says so', async () => {
      const store = await open();
      await store.close();
      const unavailable = { kind: 'unavailable' };
      await expect(recordsOf(store, 'key')).rejects.toMatchObject(unavailable);
      await expect(store.putRecords('key', [sampleKey()])).rejects.toMatchObject(unavailable);
      await expect(store.estimateRecords()).rejects.toMatchObject(unavailable);
      await expect(store.readCopyNote()).rejects.toMatchObject(unavailable);
      await expect(store.writeCopyNote('x', undefined)).rejects.toMatchObject(unavailable);
    });
  });
}

export function interruptionCases(open: OpenForCase): void {
  describe('an interrupted copy', () => {
    test('leaves a store that is opened for the copy alone, until the note is off', async () => {
      const opened = await open();
      const { reopen } = opened;
      if (reopen === undefined) throw new Error('a durable store must bring reopen');
      const again = async () => (await reopen.call(opened, { unfinished: true })) as MovableStore;
      const store = opened.store as MovableStore;
      const key = sampleKey();
      await store.putRecords('key', [key]);
      await store.writeCopyNote('half', undefined);

      const refused = await reopen.call(opened).catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(StoreUnusable);
      expect(String(refused)).toMatch(/holds an unfinished copy of another store/);
      const half = await again();
      expect(await half.readCopyNote()).toBe('half');
      expect(await recordsOf(half, 'key')).toEqual([key]);
      await half.writeCopyNote(undefined, 'half');
      expect(await (await reopen.call(opened)).getKey(key.id)).toEqual(key);
    });
  });
}

async function recordsOf<Kind extends MovedKind>(
  store: MovableStore,
  kind: Kind,
  after?: string,
): Promise<Moved[Kind][]> {
  const found: Moved[Kind][] = [];
  for await (const { records } of store.batches(kind, after)) found.push(...records);
  return found;
}
