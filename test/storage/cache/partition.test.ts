/** A replica that reaches neither the others nor the store, and keyspaces that let it go on for a while. */

import { expect, onTestFinished, test, vi } from 'vitest';
import { storeUnavailable } from '../../../src/domain/failure.ts';
import { CachedKeyStore } from '../../../src/storage/cache/memory.ts';
import type { Lease } from '../../../src/storage/cache/shared.ts';
import { openSqliteStore } from '../../../src/storage/sqlite/open.ts';
import { changed, sampleKeyspace, storeKey, unique } from '../../conformance/samples.ts';
import { overlaidStore } from '../../support/overlaid-store.ts';

const BOUND_MS = 60_000;

/** A key of a keyspace that lets replicas go on, and one of a keyspace that does not, both in memory. */
async function open() {
  const inner = await openSqliteStore(':memory:');
  onTestFinished(() => inner.close());
  let away = false;
  let reads = 0;
  const read =
    <Args extends unknown[], Answer>(call: (...args: Args) => Promise<Answer>) =>
    (...args: Args): Promise<Answer> => {
      reads++;
      return away ? Promise.reject(storeUnavailable(new Error('away'))) : call(...args);
    };
  const store = overlaidStore(inner, {
    listKeyspaces: read(() => inner.listKeyspaces()),
    findSecret: read((keyspace, lookup) => inner.findSecret(keyspace, lookup)),
    getKey: read((id) => inner.getKey(id)),
    getOwner: read((id) => inner.getOwner(id)),
  });
  const ids = { available: unique('available'), strict: unique('strict') };
  const trade = { onPartition: 'available', partitionBound: BOUND_MS } as const;
  await inner.insertKeyspace(sampleKeyspace({ id: ids.available, prefix: 'avl_', ...trade }));
  // A bound alone is no such word.
  await inner.insertKeyspace(sampleKeyspace({ id: ids.strict, prefix: 'str_', partitionBound: BOUND_MS }));
  const [available, strict, unread] = [
    await storeKey(inner, { keyspace: ids.available, name: 'old' }),
    await storeKey(inner, { keyspace: ids.strict }),
    await storeKey(inner, { keyspace: ids.available }),
  ];
  const lease = { held: true, lostFor: 0, epoch: 'one' } satisfies Lease;
  const sizes = { secrets: 1_000_000, keys: 1_000_000, owners: 1_000_000 };
  const cached = new CachedKeyStore(store, { sizes, lease });
  await cached.listKeyspaces();
  for (const key of [available, strict]) await cached.getKey(key.id);
  return {
    inner,
    cached,
    available,
    strict,
    unread,
    reads: () => reads,
    cutOff(lostFor: number, storeAway = true) {
      Object.assign(lease, { held: false, lostFor });
      away = storeAway;
    },
  };
}

test('goes on with the keys that it knows, for as long as their keyspace says, and tells how old they may be', async () => {
  const { cached, available, cutOff } = await open();
  expect(cached.ageOf((await cached.getKey(available.id)) ?? available)).toBe(0);
  cutOff(BOUND_MS);
  expect(await cached.listKeyspaces()).toHaveLength(2);
  const kept = await cached.getKey(available.id);
  expect(kept).toEqual(available);
  expect(cached.ageOf(kept ?? available)).toBe(BOUND_MS);
  cutOff(BOUND_MS + 1);
  await expect(cached.getKey(available.id)).rejects.toMatchObject({ kind: 'unavailable' });
});

test('answers nothing of other keyspaces, nor of keys that it does not know', async () => {
  const { cached, strict, unread, cutOff } = await open();
  cutOff(1);
  await expect(cached.getKey(strict.id)).rejects.toMatchObject({ kind: 'unavailable' });
  await expect(cached.getKey(unread.id)).rejects.toMatchObject({ kind: 'unavailable' });
});

test('asks a store that answers, and believes that one', async () => {
  const { inner, cached, available, cutOff } = await open();
  cutOff(1, false);
  await inner.replaceKey(changed(available, { name: 'next' }));
  const read = await cached.getKey(available.id);
  expect(read?.name).toBe('next');
  expect(cached.ageOf(read ?? available)).toBe(0);
});

test('asks a store that was away once a second, and goes by it as soon as it answers', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const { inner, cached, available, cutOff, reads } = await open();
  cutOff(1);
  await cached.getKey(available.id);
  const before = reads();
  for (let asked = 0; asked < 100; asked++) await cached.getKey(available.id);
  expect(reads()).toBe(before);
  for (let seconds = 1; seconds <= 3; seconds++) {
    await vi.advanceTimersByTimeAsync(1000);
    await Promise.all(Array.from({ length: 100 }, () => cached.getKey(available.id)));
    expect(reads()).toBe(before + seconds);
  }
  await inner.replaceKey(changed(available, { name: 'next' }));
  cutOff(1, false);
  await vi.advanceTimersByTimeAsync(1000);
  await vi.waitFor(async () => expect((await cached.getKey(available.id))?.name).toBe('next'));
});

test('goes on with nothing that was dropped, nor with anything once it is closed', async () => {
  const { cached, available, cutOff } = await open();
  cutOff(1);
  cached.drop(`key:${available.id}`);
  await expect(cached.getKey(available.id)).rejects.toMatchObject({ kind: 'unavailable' });
  await cached.close();
  await expect(cached.listKeyspaces()).rejects.toMatchObject({ kind: 'unavailable' });
});
