/** A store that is away while this replica has a lease: who reads what is in memory does not wait for it. */

import { setImmediate } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { storeUnavailable } from '../../../src/domain/failure.ts';
import { CachedKeyStore } from '../../../src/storage/cache/memory.ts';
import { ALONE } from '../../../src/storage/cache/shared.ts';
import { openSqliteStore } from '../../../src/storage/sqlite/open.ts';
import { sampleKeyspace, storeKey, unique } from '../../conformance/samples.ts';
import { overlaidStore } from '../../support/overlaid-store.ts';

/** What a read takes that fails. */
const DEADLINE_MS = 500;
const RETRY_MS = 1000;
const CACHE_TTL_MS = 60_000;

/** One key of a keyspace that lets copies live for a minute, and one of a keyspace that lets them not live. */
async function open() {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  const inner = await openSqliteStore(':memory:');
  onTestFinished(async () => {
    await cached.close();
    vi.useRealTimers();
  });
  const state = { away: false, reads: 0 };
  const read =
    <Args extends unknown[], Answer>(call: (...args: Args) => Promise<Answer>) =>
    async (...args: Args): Promise<Answer> => {
      state.reads++;
      if (!state.away) return call(...args);
      await new Promise((resolve) => setTimeout(resolve, DEADLINE_MS));
      throw storeUnavailable(new Error('away'));
    };
  const store = overlaidStore(inner, {
    listKeyspaces: read(() => inner.listKeyspaces()),
    getKey: read((id) => inner.getKey(id)),
  });
  const ids = { minute: unique('minute'), never: unique('never') };
  await inner.insertKeyspace(sampleKeyspace({ id: ids.minute, prefix: 'min_', cacheTtl: CACHE_TTL_MS }));
  await inner.insertKeyspace(sampleKeyspace({ id: ids.never, prefix: 'nev_', cacheTtl: 0 }));
  const [minute, never, unread] = [
    await storeKey(inner, { keyspace: ids.minute }),
    await storeKey(inner, { keyspace: ids.never }),
    await storeKey(inner, { keyspace: ids.minute }),
  ];
  const sizes = { secrets: 1_000_000, keys: 1_000_000, owners: 1_000_000 };
  const cached = new CachedKeyStore(store, { sizes, lease: ALONE });
  await cached.listKeyspaces();
  for (const { id } of [minute, never]) await cached.getKey(id);
  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
  /** Milliseconds until they are answered. */
  const wait = async (...reads: Promise<unknown>[]): Promise<number> => {
    const begun = performance.now();
    let waited: number | undefined;
    const all = Promise.all(reads).then(() => {
      waited = performance.now() - begun;
    });
    await Promise.race([all, setImmediate()]);
    while (waited === undefined) await pass(10);
    return waited;
  };
  return { cached, state, minute, never, unread, pass, wait };
}

test('copies that are too old are read again while the store answers, and those of cache_ttl 0 each time', async () => {
  const { cached, state, minute, never, pass } = await open();
  const before = state.reads;
  await cached.getKey(minute.id);
  expect(state.reads).toBe(before);
  await cached.getKey(never.id);
  await cached.getKey(never.id);
  expect(state.reads).toBe(before + 2);
  await pass(CACHE_TTL_MS);
  await cached.getKey(minute.id);
  expect(state.reads).toBe(before + 3);
});

test('only the first who finds the store away waits for it; it is asked once a second behind the others', async () => {
  const { cached, state, minute, never, pass, wait } = await open();
  state.away = true;
  await pass(CACHE_TTL_MS);
  expect(await wait(cached.getKey(minute.id))).toBeGreaterThanOrEqual(DEADLINE_MS);
  const before = state.reads;
  let waited = 0;
  for (let tenth = 0; tenth < 100; tenth++) {
    waited += await wait(cached.getKey(minute.id), cached.getKey(never.id), cached.listKeyspaces());
    await pass(100);
  }
  expect(waited).toBeLessThanOrEqual(100 * 20);
  const seconds = (100 * 100) / (RETRY_MS + DEADLINE_MS);
  expect(state.reads - before).toBeGreaterThanOrEqual(Math.floor(seconds) - 1);
  expect(state.reads - before).toBeLessThanOrEqual(Math.ceil(seconds) + 2);
});

test('once the store answers again, copies that are too old are read again', async () => {
  const { cached, state, never, pass, wait } = await open();
  state.away = true;
  await wait(cached.getKey(never.id));
  state.away = false;
  await pass(RETRY_MS);
  const before = state.reads;
  await cached.getKey(never.id);
  await cached.getKey(never.id);
  expect(state.reads).toBe(before + 2);
  // Nothing asks any more.
  await pass(10 * RETRY_MS);
  expect(state.reads).toBe(before + 2);
});

test('an answer to anybody tells that the store is back', async () => {
  const { cached, state, never, unread, wait } = await open();
  state.away = true;
  await wait(cached.getKey(never.id));
  state.away = false;
  await cached.getKey(unread.id);
  const before = state.reads;
  await cached.getKey(never.id);
  expect(state.reads).toBe(before + 1);
});

test('a record that is not in memory is asked of the store, and nothing asks it once it is closed', async () => {
  const { cached, state, unread, pass } = await open();
  state.away = true;
  const failed = expect(cached.getKey(unread.id)).rejects.toMatchObject({ kind: 'unavailable' });
  await pass(DEADLINE_MS);
  await failed;
  await cached.close();
  const before = state.reads;
  await pass(10 * RETRY_MS);
  expect(state.reads).toBe(before);
});
