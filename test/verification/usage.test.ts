import { describe, expect, test, vi } from 'vitest';
import { storeUnavailable } from '../../src/domain/failure.ts';
import type { UsageBatch, UsageIncrement } from '../../src/storage/key-store.ts';
import { openSqliteStore } from '../../src/storage/sqlite/open.ts';
import { UsageRecorder } from '../../src/verification/usage.ts';
import { overlaidStore } from '../support/overlaid-store.ts';

/** A recorder over a real store that can be made to fail. */
async function rig() {
  const store = await openSqliteStore(':memory:');
  const state = { failing: false, errors: [] as unknown[] };
  const flaky = Object.assign(Object.create(store) as typeof store, {
    async addUsage(batch: UsageBatch, increments: readonly UsageIncrement[]) {
      if (state.failing) throw storeUnavailable(new Error('away'));
      await store.addUsage(batch, increments);
    },
  });
  const usage = new UsageRecorder(flaky, (error) => state.errors.push(error));
  const countOf = async (id: string) => (await store.readUsage([id])).get(id);
  return { usage, state, countOf };
}

describe('the usage recorder', () => {
  test('records every count once, with the latest use, in whatever order they came', async () => {
    const { usage, countOf } = await rig();
    for (const time of [5, 9, 7]) usage.count('key_a', time);
    usage.count('key_b', 1);
    await usage.flush();
    usage.count('key_a', 6);
    await usage.close();
    expect(await countOf('key_a')).toEqual({ count: 4, lastUsedTime: 9 });
    expect(await countOf('key_b')).toEqual({ count: 1, lastUsedTime: 1 });
  });

  test('loses nothing while the store is away, and counts nothing twice when it is back', async () => {
    const { usage, state, countOf } = await rig();
    state.failing = true;
    usage.count('key_a', 1);
    await expect(usage.flush()).rejects.toMatchObject({ kind: 'unavailable' });
    usage.count('key_a', 2);
    await expect.poll(() => state.errors.length).toBeGreaterThan(0);
    state.failing = false;
    await usage.flush();
    await usage.flush();
    expect(await countOf('key_a')).toEqual({ count: 2, lastUsedTime: 2 });
  });

  test('goes on counting while it records', async () => {
    const { usage, countOf } = await rig();
    const flushes: Promise<void>[] = [];
    for (let counted = 0; counted < 1000; counted++) {
      usage.count('key_a', counted);
      if (counted % 10 === 0) flushes.push(usage.flush());
    }
    await Promise.all(flushes);
    await usage.close();
    expect(await countOf('key_a')).toEqual({ count: 1000, lastUsedTime: 999 });
  });

  test('repeats what could not be recorded when it stops, under one name, so that nothing is counted twice', async () => {
    const store = await openSqliteStore(':memory:');
    const tries: UsageBatch[] = [];
    const usage = new UsageRecorder(
      overlaidStore(store, {
        async addUsage(batch, increments) {
          tries.push(batch);
          if (tries.length < 3) throw storeUnavailable(new Error('away'));
          await store.addUsage(batch, increments);
        },
      }),
      () => undefined,
    );
    for (const time of [1, 2, 3]) usage.count('key_a', time);
    expect(await usage.close(60_000)).toBe(0);
    expect(tries).toEqual([tries[0], tries[0], tries[0]]);
    expect((await store.readUsage(['key_a'])).get('key_a')).toEqual({ count: 3, lastUsedTime: 3 });
  });

  test.each([
    ['away', () => Promise.reject(storeUnavailable(new Error('away')))],
    ['silent', () => new Promise<never>(() => {})],
  ])('says how many uses are lost where the store is %s until its time is over', async (_name, addUsage) => {
    const store = await openSqliteStore(':memory:');
    const usage = new UsageRecorder(overlaidStore(store, { addUsage }), () => undefined);
    for (const time of [1, 2, 3]) usage.count('key_a', time);
    // They are in a batch that is under way, and these are behind it.
    void usage.flush().catch(() => undefined);
    await Promise.resolve();
    for (const time of [4, 5]) usage.count('key_b', time);
    expect(await usage.close(20)).toBe(5);
  });

  test('does not pile up on a store that is slow to answer', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const gate = Promise.withResolvers<void>();
      const store = await openSqliteStore(':memory:');
      const added = vi.fn(async () => gate.promise);
      const usage = new UsageRecorder(overlaidStore(store, { addUsage: added }), () => undefined);
      usage.count('key_a', 1);
      vi.advanceTimersByTime(60_000);
      await Promise.resolve();
      gate.resolve();
      await usage.close();
      expect(added).toHaveBeenCalledTimes(1);
    } finally {
      vi.useRealTimers();
    }
  });
});
