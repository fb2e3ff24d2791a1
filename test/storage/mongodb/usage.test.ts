/** A batch of usage of which nobody knows how far it got: it may be said again, and counts once. */

import { describe, expect, test } from 'vitest';
import type { UsageBatch, UsageIncrement } from '../../../src/storage/key-store.ts';
import { atOnce, newBatch, T0, unique } from '../../conformance/samples.ts';
import { openForTest, SERVER } from './database.ts';

/** Writers whose last batch each key remembers. */
const WRITERS = 32;

function increments(count: number, keys = 3): UsageIncrement[] {
  return Array.from({ length: keys }, () => ({ keyId: unique('key'), count, lastUsedTime: T0 }));
}

describe.skipIf(SERVER === '')('a batch of usage that is said again', () => {
  test('adds nothing', async () => {
    const store = await openForTest();
    const [first] = increments(5, 1);
    if (first === undefined) throw new Error('there is one');
    const batch = newBatch();
    await store.addUsage(batch, [first]);
    await store.addUsage(batch, [{ ...first, lastUsedTime: T0 + 9 }]);
    expect((await store.readUsage([first.keyId])).get(first.keyId)).toEqual({ count: 5, lastUsedTime: T0 });
  });

  test('eight times at once adds once, to keys that were used before and to those that were not', async () => {
    const store = await openForTest();
    for (let round = 0; round < 5; round++) {
      const used = increments(1);
      await store.addUsage(newBatch(), used);
      const all = [...used, ...increments(1)].map((one) => ({ ...one, count: 7 }));
      const batch = newBatch();
      await atOnce(8, () => store.addUsage(batch, all));
      const usage = await store.readUsage(all.map(({ keyId }) => keyId));
      expect(all.map(({ keyId }) => usage.get(keyId)?.count)).toEqual([8, 8, 8, 7, 7, 7]);
    }
  });

  test('adds what the first one did not, wherever it broke off', async () => {
    const store = await openForTest();
    const all = increments(2, 60);
    const batch = newBatch();
    for (const done of [1, 30, 59, 60]) await store.addUsage(batch, all.slice(0, done));
    const usage = await store.readUsage(all.map(({ keyId }) => keyId));
    expect(usage.size).toBe(60);
    expect(new Set([...usage.values()].map(({ count }) => count))).toEqual(new Set([2]));
  });

  test('adds nothing after the batches of 31 other writers, however many each of them had', async () => {
    const store = await openForTest();
    const mine = increments(1, 1);
    const batch = newBatch();
    await store.addUsage(batch, mine);
    const others = Array.from({ length: WRITERS - 1 }, () => unique('writer'));
    for (const number of [1, 2, 3]) {
      const batches = others.map((writer): UsageBatch => `${writer}:${number}`);
      await Promise.all(batches.map((other) => store.addUsage(other, mine)));
    }
    await store.addUsage(batch, mine);
    const total = 1 + others.length * 3;
    expect([...(await store.readUsage(mine.map(({ keyId }) => keyId))).values()]).toMatchObject([
      { count: total },
    ]);
  });

  test('adds nothing when it comes through late, after the next batch of its writer', async () => {
    const store = await openForTest();
    const mine = increments(1, 1);
    const writer = unique('writer');
    for (const number of [1, 2, 1, 2, 3, 1]) await store.addUsage(`${writer}:${number}`, mine);
    expect([...(await store.readUsage(mine.map(({ keyId }) => keyId))).values()]).toMatchObject([
      { count: 3 },
    ]);
  });
});
