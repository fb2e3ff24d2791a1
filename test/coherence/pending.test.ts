/** Events that a process left behind when it ended are published by the next one. */

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Changes } from '../../src/coherence/changes.ts';
import { PendingSweep, publishPending } from '../../src/coherence/pending.ts';
import { changeRegistry } from '../../src/coherence/registry.ts';
import { type SpreadRecord, spreadAmongBlind } from '../../src/coherence/spread.ts';
import { storeUnavailable } from '../../src/domain/failure.ts';
import type { Key } from '../../src/domain/key.ts';
import type { KeyStore, UnpublishedRecord } from '../../src/storage/key-store.ts';
import { openSqliteStore } from '../../src/storage/sqlite/open.ts';
import { changed, sampleEvent, sampleKey, sampleKeyspace, storeKey, T0 } from '../conformance/samples.ts';
import { overlaidStore } from '../support/overlaid-store.ts';

const INTERVAL_MS = 1000;
const GRACE_MS = 2000;

/** What finishes changes in a store. */
function finishing(store: KeyStore): Changes {
  return new Changes(store, () => T0, fail);
}

const fail = (error: unknown): never => {
  throw error;
};

/** A key as a process leaves it that ends between the write and the publication. */
async function leaveKey(store: KeyStore, fields: Partial<Key> = {}): Promise<Key> {
  const key = sampleKey(fields);
  return storeKey(store, { ...key, pending: [sampleEvent(key)] });
}

async function isPublished(store: KeyStore, { id, pending }: Pick<Key, 'id' | 'pending'>): Promise<boolean> {
  const events = await store.listEvents({ kind: 'key', id });
  const left = (await store.getKey(id))?.pending.length;
  return left === 0 && JSON.stringify(events) === JSON.stringify(pending);
}

describe('publishPending', () => {
  test('publishes what a dead process left, of keys and of keyspaces', async () => {
    const store = await openSqliteStore(':memory:');
    const key = await leaveKey(store);
    const { keyId: _, ...event } = sampleEvent({ id: 'acx', revision: 1 });
    await store.insertKeyspace(sampleKeyspace({ id: 'acx', pending: [event] }));
    await publishPending(store, finishing(store), fail);
    expect(await isPublished(store, key)).toBe(true);
    expect(await store.listEvents({ kind: 'keyspace', id: 'acx' })).toEqual([event]);
    expect(await store.listUnpublished(9)).toEqual([]);
  });

  test('one record that cannot be published keeps no other from it, and is reported', async () => {
    const store = await openSqliteStore(':memory:');
    const keys = [
      await leaveKey(store, { updateTime: T0 }),
      await leaveKey(store, { updateTime: T0 + 1 }),
      await leaveKey(store, { updateTime: T0 + 2 }),
    ];
    const [bad, ...others] = keys;
    const failure = storeUnavailable(new Error('a record that does not parse'));
    const errors: unknown[] = [];
    const refuser = refusing(store, bad, failure);
    await publishPending(refuser, finishing(refuser), (error) => errors.push(error));
    expect(errors).toEqual([failure]);
    for (const other of others) expect(await isPublished(store, other)).toBe(true);
    expect(await store.listUnpublished(9)).toEqual([{ kind: 'key', id: bad?.id }]);
  });
});

describe('a change whose process ended before it told the others', () => {
  /** What happens once to the record of a key, after it was announced and before its event is taken off. */
  async function overtaken(begin: (changes: Changes, key: Key) => Promise<unknown>) {
    const store = await openSqliteStore(':memory:');
    const key = await leaveKey(store);
    const told: string[] = [];
    const tell = async (records: readonly SpreadRecord[]) => {
      told.push(...records.map(({ revision }) => String(revision)));
      const now = await store.getKey(key.id);
      if (now === undefined || told.length > 1) return;
      // Another process writes, and is killed.
      const next = changed(now, { name: 'later' });
      await store.replaceKey({ ...next, pending: [...now.pending, sampleEvent(next)] });
    };
    const none = { replicas: 1, acknowledged: 1, effectiveTime: T0 };
    const confirm = (records: readonly SpreadRecord[]) => tell(records).then(() => none);
    const spread = { reachable: true, tell, confirm };
    const changes = new Changes(store, () => T0, fail, { record: store, spread });
    await begin(changes, key);
    const later = told.map(Number)[0] ?? 0;
    expect((await store.getKey(key.id))?.pending.map(({ revision }) => revision)).toEqual([later + 1]);
    await publishPending(store, changes, fail);
    expect(told.map(Number)).toEqual([later, later + 1]);
    expect((await store.getKey(key.id))?.pending).toEqual([]);
  }

  test('is left to the replicas that share a Redis by a process that shares none', async () => {
    const store = await openSqliteStore(':memory:');
    const key = await leaveKey(store);
    const spread = spreadAmongBlind(store, () => T0);
    const changes = new Changes(store, () => T0, fail, { record: store, spread });
    await changeRegistry(store, () => ({ domain: 'theirs' }));
    const errors: unknown[] = [];
    await publishPending(store, changes, (error) => errors.push(error));
    expect(errors).toHaveLength(1);
    expect((await store.getKey(key.id))?.pending).toEqual(key.pending);
    await changeRegistry(store, () => ({ domain: undefined }));
    await publishPending(store, changes, fail);
    expect(await isPublished(store, key)).toBe(true);
  });

  test('is still told of where the one before it was being finished', () =>
    overtaken((changes, { id }) => changes.finish({ kind: 'key', id })));

  test('is still told of where the one before it was just confirmed', () =>
    overtaken((changes, { id }) =>
      changes.changeKey(id, (key) => ({ ...key, name: 'first' }), {
        action: 'key.update',
        actor: { id: 'key_1' },
        changedFields: () => ['name'],
      }),
    ));
});

describe('the sweep', () => {
  // Not setImmediate, by which the store writes.
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
  afterEach(() => void vi.useRealTimers());

  /** A sweep, and a way to let it make rounds one after the other. */
  function sweeping(store: KeyStore, onError: (error: unknown) => void = fail, onAnswered?: () => void) {
    const listed = vi.fn(store.listUnpublished.bind(store));
    let now = 0;
    const sweep = new PendingSweep(
      overlaidStore(store, { listUnpublished: listed }),
      finishing(store),
      () => now,
      onError,
      onAnswered,
    );
    const rounds = async (count: number) => {
      for (let round = 0; round < count; round++) {
        const before = listed.mock.calls.length;
        now += INTERVAL_MS;
        vi.advanceTimersByTime(INTERVAL_MS);
        await expect.poll(() => listed.mock.calls.length).toBe(before + 1);
        await store.ping();
      }
    };
    return { sweep, rounds };
  }

  test('publishes what it has seen for its grace, again and again, and nothing after its stop', async () => {
    const store = await openSqliteStore(':memory:');
    const { sweep, rounds } = sweeping(store);
    for (let round = 0; round < 3; round++) {
      const key = await leaveKey(store);
      await rounds(1 + GRACE_MS / INTERVAL_MS);
      await expect.poll(() => isPublished(store, key)).toBe(true);
    }
    await sweep.stop();
    const late = await leaveKey(store);
    vi.advanceTimersByTime(10 * INTERVAL_MS);
    expect(vi.getTimerCount()).toBe(0);
    await store.ping();
    expect(await isPublished(store, late)).toBe(false);
  });

  test('leaves what it has not seen so long: its change may be at work', async () => {
    const store = await openSqliteStore(':memory:');
    const { sweep, rounds } = sweeping(store);
    const key = await leaveKey(store);
    await rounds(GRACE_MS / INTERVAL_MS);
    expect(await isPublished(store, key)).toBe(false);
    await rounds(1);
    await expect.poll(() => isPublished(store, key)).toBe(true);
    await sweep.stop();
  });

  test.each([-1, 1])('asks nothing of the clock of the host that wrote: %i hours off', async (hours) => {
    const store = await openSqliteStore(':memory:');
    const { sweep, rounds } = sweeping(store);
    const key = await leaveKey(store, { updateTime: Date.now() + hours * 3_600_000 });
    await rounds(1 + GRACE_MS / INTERVAL_MS);
    await expect.poll(() => isPublished(store, key)).toBe(true);
    await sweep.stop();
  });

  test('goes on after a store that was away, and tells once that it is back', async () => {
    const store = await openSqliteStore(':memory:');
    const errors: unknown[] = [];
    let away = true;
    const flaky = overlaidStore(store, {
      async listUnpublished(limit) {
        if (away) throw storeUnavailable(new Error('away'));
        return store.listUnpublished(limit);
      },
    });
    const { sweep, rounds } = sweeping(
      flaky,
      (error) => errors.push(error),
      () => errors.push('back'),
    );
    const key = await leaveKey(store);
    await rounds(1);
    away = false;
    await rounds(1 + GRACE_MS / INTERVAL_MS);
    await expect.poll(() => isPublished(store, key)).toBe(true);
    await sweep.stop();
    expect(errors).toEqual([expect.any(Error), 'back']);
  });

  test('does not pile up on a store that is slow to answer', async () => {
    const store = await openSqliteStore(':memory:');
    const gate = Promise.withResolvers<void>();
    const listed = vi.fn(async () => {
      await gate.promise;
      return [];
    });
    const sweep = new PendingSweep(
      overlaidStore(store, { listUnpublished: listed }),
      finishing(store),
      () => 0,
      fail,
    );
    vi.advanceTimersByTime(10 * INTERVAL_MS);
    gate.resolve();
    await sweep.stop();
    expect(listed).toHaveBeenCalledTimes(1);
  });

  test('leaves everything where the other replicas cannot be told, says nothing, and goes on when they can', async () => {
    const store = await openSqliteStore(':memory:');
    const keys = [await leaveKey(store), await leaveKey(store)];
    let reachable = false;
    let now = 0;
    const finish = vi.fn((record: UnpublishedRecord) => store.publishEvents(record));
    const others = {
      finish,
      get reachable() {
        return reachable;
      },
    };
    const sweep = new PendingSweep(store, others, () => now, fail);
    const round = async () => {
      now += INTERVAL_MS;
      vi.advanceTimersByTime(INTERVAL_MS);
      for (let turn = 0; turn < 10; turn++) await store.ping();
    };
    for (let count = 0; count < 5; count++) await round();
    await publishPending(store, others, fail);
    expect(finish).not.toHaveBeenCalled();
    reachable = true;
    await round();
    expect(finish).toHaveBeenCalledTimes(keys.length);
    await sweep.stop();
  });

  test('its stop waits for no more than the one record that is being finished', async () => {
    const store = await openSqliteStore(':memory:');
    for (let count = 0; count < 3; count++) await leaveKey(store);
    let now = 0;
    const gate = Promise.withResolvers<void>();
    const finish = vi.fn(() => gate.promise);
    const sweep = new PendingSweep(store, { reachable: true, finish }, () => now, fail);
    for (let count = 0; count < 4; count++) {
      now += INTERVAL_MS;
      vi.advanceTimersByTime(INTERVAL_MS);
      for (let turn = 0; turn < 10; turn++) await store.ping();
    }
    expect(finish).toHaveBeenCalledTimes(1);
    const stop = sweep.stop();
    gate.resolve();
    await stop;
    expect(finish).toHaveBeenCalledTimes(1);
  });

  test('its stop waits for the sweep that is at work', async () => {
    const store = await openSqliteStore(':memory:');
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const slow = overlaidStore(store, {
      async publishEvents(record: UnpublishedRecord, upTo?: number) {
        begun.resolve();
        await gate.promise;
        await store.publishEvents(record, upTo);
      },
    });
    const { sweep, rounds } = sweeping(slow);
    const key = await leaveKey(store);
    await rounds(1 + GRACE_MS / INTERVAL_MS);
    await begun.promise;

    let stopped = false;
    const stop = sweep.stop().then(() => {
      stopped = true;
    });
    await store.ping();
    expect(stopped).toBe(false);
    gate.resolve();
    await stop;
    expect(await isPublished(store, key)).toBe(true);
  });
});

/** A store that publishes no event of one key. */
function refusing(store: KeyStore, key: Key | undefined, failure: Error): KeyStore {
  return overlaidStore(store, {
    async publishEvents(record, upTo) {
      if (record.id === key?.id) throw failure;
      await store.publishEvents(record, upTo);
    },
  });
}
