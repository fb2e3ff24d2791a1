import { describe, expect, onTestFinished, test } from 'vitest';
import type { Key } from '../../../src/domain/key.ts';
import type { OwnerRecord } from '../../../src/domain/owner.ts';
import { CachedKeyStore } from '../../../src/storage/cache/memory.ts';
import { ALONE } from '../../../src/storage/cache/shared.ts';
import { openSqliteStore } from '../../../src/storage/sqlite/open.ts';
import {
  changed,
  sampleEvent,
  sampleKey,
  sampleKeyspace,
  sampleOwner,
  sampleSecret,
  storeKey,
} from '../../conformance/samples.ts';
import { gated } from './gated-store.ts';

async function openCached(size = 1_000_000) {
  const inner = await openSqliteStore(':memory:');
  onTestFinished(() => inner.close());
  const gate = gated(inner);
  return {
    ...gate,
    cached: new CachedKeyStore(gate.store, {
      sizes: { secrets: size, keys: size, owners: size },
      lease: ALONE,
    }),
  };
}

/** A stored key of revision 1 and its next version. */
async function storeTwoVersions(store: CachedKeyStore): Promise<{ old: Key; next: Key }> {
  const old = await storeKey(store, { name: 'old' });
  return { old, next: changed(old, { name: 'next' }) };
}

describe('a load that began before a change', () => {
  test('does not put the old record back after the change', async () => {
    const { cached, hold } = await openCached();
    const { old, next } = await storeTwoVersions(cached);
    const release = hold('getKey');
    const early = cached.getKey(old.id);
    await cached.replaceKey(next);
    release();
    // Who asked before the change may be told what was so then.
    expect((await early)?.name).toBe('old');
    expect(await cached.getKey(old.id)).toEqual(next);
  });

  test('is not shared with who asks after the change', async () => {
    const { cached, hold } = await openCached();
    const { old, next } = await storeTwoVersions(cached);
    const release = hold('getKey');
    const early = cached.getKey(old.id);
    await cached.replaceKey(next);
    expect(await cached.getKey(old.id)).toEqual(next);
    release();
    await early;
    expect(await cached.getKey(old.id)).toEqual(next);
  });

  test('and that of a later load may end in any order', async () => {
    const { cached, hold } = await openCached();
    const { old, next } = await storeTwoVersions(cached);
    const releaseEarly = hold('getKey');
    const early = cached.getKey(old.id);
    await cached.replaceKey(next);
    const releaseLate = hold('getKey');
    const late = cached.getKey(old.id);
    releaseEarly();
    await early;
    const joined = cached.getKey(old.id);
    releaseLate();
    expect([await late, await joined, await cached.getKey(old.id)]).toEqual([next, next, next]);
  });

  test('does not tell who asks after the adding that key and secret are not there', async () => {
    const { cached, hold } = await openCached();
    const key = sampleKey();
    const secret = sampleSecret(key);
    const releases = [hold('getKey'), hold('findSecret')];
    const early = [cached.getKey(key.id), cached.findSecret(secret.keyspace, secret.lookup)];
    await cached.insertKey(key, secret);
    expect(await cached.getKey(key.id)).toEqual(key);
    expect(await cached.findSecret(secret.keyspace, secret.lookup)).toEqual(secret);
    for (const release of releases) release();
    expect(await Promise.all(early)).toEqual([undefined, undefined]);
  });

  test('of all keyspaces does not bring the old list back', async () => {
    const { cached, hold } = await openCached();
    const keyspace = sampleKeyspace();
    await cached.insertKeyspace(keyspace);
    const release = hold('listKeyspaces');
    const early = cached.listKeyspaces();
    const next = changed(keyspace, { displayName: 'next' });
    await cached.replaceKeyspace(next);
    release();
    expect(await early).toEqual([keyspace]);
    expect(await cached.listKeyspaces()).toEqual([next]);
  });

  test('fills no memory of a store that was closed meanwhile', async () => {
    const { cached, hold } = await openCached();
    const { old } = await storeTwoVersions(cached);
    const release = hold('getKey');
    const early = cached.getKey(old.id);
    await cached.close();
    release();
    await early;
    await expect(cached.getKey(old.id)).rejects.toMatchObject({ kind: 'unavailable' });
  });
});

describe('after a change of a key', () => {
  test('that was rejected although it was done, the new record is read', async () => {
    const { cached, hold } = await openCached();
    const { old, next } = await storeTwoVersions(cached);
    await cached.getKey(old.id);
    const release = hold('replaceKey');
    const change = cached.replaceKey(next);
    release(new Error('the answer was lost'));
    await expect(change).rejects.toThrow('the answer was lost');
    expect(await cached.getKey(old.id)).toEqual(next);
  });

  test('that was refused, the record that refused it is read', async () => {
    const { cached, store } = await openCached();
    const { old, next } = await storeTwoVersions(cached);
    await cached.getKey(old.id);
    // Past the cache: what a write whose answer never came has done.
    await store.replaceKey(next);
    expect(await cached.replaceKey(changed(old, { name: 'late' }))).toBe(false);
    expect(await cached.getKey(old.id)).toEqual(next);
  });

  test('its events are pending for who reads it, until they were published', async () => {
    const { cached } = await openCached();
    const { old, next } = await storeTwoVersions(cached);
    const eventful = { ...next, pending: [sampleEvent(next)] };
    await cached.replaceKey(eventful);
    expect(await cached.getKey(old.id)).toEqual(eventful);
    await cached.publishEvents({ kind: 'key', id: old.id });
    expect(await cached.getKey(old.id)).toEqual(next);
  });

  test('other keys are still in memory', async () => {
    const { cached, calls } = await openCached();
    const { next } = await storeTwoVersions(cached);
    const other = await storeKey(cached);
    await cached.getKey(other.id);
    await cached.replaceKey(next);
    await storeKey(cached);
    await cached.getKey(other.id);
    expect(calls.getKey).toBe(1);
  });
});

describe('an owner', () => {
  test('is read once, with a record and without, until its record is made, changed, marked or published', async () => {
    const { cached, calls } = await openCached();
    const owner = sampleOwner();
    const reads = async (expected: OwnerRecord | undefined) => {
      const before = calls.getOwner ?? 0;
      for (let round = 0; round < 3; round++) expect(await cached.getOwner(owner.id)).toEqual(expected);
      expect(calls.getOwner).toBe(before + 1);
    };
    await reads(undefined);
    await cached.insertOwner(owner);
    await reads(owner);
    const revocation = { time: 1, actor: { id: 'key_1' }, reason: '' };
    const ended = changed<OwnerRecord>(owner, { generation: 1, revocation, unmarked: true });
    const eventful = { ...ended, pending: [sampleEvent(ended)] };
    await cached.replaceOwner(eventful);
    await reads(eventful);
    await cached.publishEvents({ kind: 'owner', id: owner.id });
    await reads(ended);
    await cached.finishMarking({ kind: 'owner', id: owner.id }, 1);
    const { unmarked: _, ...marked } = ended;
    await reads(marked);
  });

  test('that was found to have no record is not told so to who asks after it was made', async () => {
    const { cached, hold } = await openCached();
    const owner = sampleOwner();
    const release = hold('getOwner');
    const early = cached.getOwner(owner.id);
    await cached.insertOwner(owner);
    release();
    expect(await early).toBeUndefined();
    expect(await cached.getOwner(owner.id)).toEqual(owner);
  });
});

describe('memory', () => {
  test('is filled once by a thousand callers of one cold key', async () => {
    const { cached, calls } = await openCached();
    const { old } = await storeTwoVersions(cached);
    const found = await Promise.all(Array.from({ length: 1000 }, () => cached.getKey(old.id)));
    expect(new Set(found)).toEqual(new Set([old]));
    expect(calls.getKey).toBe(1);
  });

  test('is asked again after a load that failed, and keeps no failure', async () => {
    const { cached, hold } = await openCached();
    const { old } = await storeTwoVersions(cached);
    const release = hold('getKey');
    const failed = cached.getKey(old.id);
    release(new Error('lost'));
    await expect(failed).rejects.toThrow('lost');
    expect(await cached.getKey(old.id)).toEqual(old);
  });

  test('counts its answers and those of the store', async () => {
    const { cached } = await openCached();
    const key = sampleKey();
    const secret = sampleSecret(key);
    await cached.insertKey(key, secret);
    for (let round = 0; round < 3; round++) {
      await cached.getKey(key.id);
      await cached.findSecret(secret.keyspace, secret.lookup);
      await cached.listKeyspaces();
    }
    for (const { hits, misses } of [cached.keys, cached.secrets, cached.keyspaces]) {
      expect({ hits, misses }).toEqual({ hits: 2, misses: 1 });
    }
  });

  test('keeps nothing of keys and secrets that are not there, so that asking for them evicts none', async () => {
    const { cached, calls } = await openCached(1000);
    const { old } = await storeTwoVersions(cached);
    await cached.getKey(old.id);
    for (let index = 0; index < 100; index++) {
      await cached.getKey(`key_none_${index}`);
      await cached.findSecret('acx', `none ${index}`);
    }
    expect(calls.getKey).toBe(101);
    await cached.getKey(old.id);
    expect(calls.getKey).toBe(101);
  });

  test('is bounded: what was unused for longest goes first', async () => {
    const { cached, calls } = await openCached(2.5 * JSON.stringify(sampleKey()).length);
    const [a, b, c] = [await storeKey(cached), await storeKey(cached), await storeKey(cached)];
    for (const { id } of [a, b, a, c]) await cached.getKey(id);
    expect(calls.getKey).toBe(3);
    await cached.getKey(a.id);
    expect(calls.getKey).toBe(3);
    await cached.getKey(b.id);
    expect(calls.getKey).toBe(4);
  });

  test('gives out records that nobody can change', async () => {
    const { cached } = await openCached();
    const key = await storeKey(cached, { metadata: { team: 'one' }, owner: { kind: 'user', id: '1' } });
    const found = await cached.getKey(key.id);
    for (const part of [found, found?.metadata, found?.permissions, found?.owner]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  test('keeps the list of keyspaces for all of them where one has its own records read each time', async () => {
    const { cached, calls } = await openCached();
    await cached.insertKeyspace(sampleKeyspace({ id: 'zero', prefix: 'zero_', cacheTtl: 0 }));
    const fresh = await storeKey(cached, { keyspace: 'zero' });
    const first = await cached.listKeyspaces();
    for (let round = 0; round < 3; round++) {
      await cached.getKey(fresh.id);
      expect(await cached.listKeyspaces()).toBe(first);
    }
    expect(calls).toMatchObject({ listKeyspaces: 1, getKey: 3 });
  });

  test('gives the same list of keyspaces until one was changed', async () => {
    const { cached } = await openCached();
    const keyspace = sampleKeyspace({ pending: [sampleEvent({ id: 'acx', revision: 1 })] });
    await cached.insertKeyspace(keyspace);
    const first = await cached.listKeyspaces();
    await storeKey(cached);
    expect(await cached.listKeyspaces()).toBe(first);
    await cached.publishEvents({ kind: 'keyspace', id: keyspace.id });
    const second = await cached.listKeyspaces();
    expect(second).toEqual([{ ...keyspace, pending: [] }]);
    await cached.insertKeyspace(sampleKeyspace());
    expect(await cached.listKeyspaces()).toHaveLength(2);
  });
});
