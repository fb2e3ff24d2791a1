/** Lookups of secrets: few run, few wait, none for long, and a secret that is known needs none. */

import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { storeUnavailable } from '../../src/domain/failure.ts';
import type { Secret } from '../../src/domain/key.ts';
import { CachedKeyStore } from '../../src/storage/cache/memory.ts';
import type { KeyStore } from '../../src/storage/key-store.ts';
import { Lookups, withBoundedLookups } from '../../src/storage/lookups.ts';
import { openSqliteStore } from '../../src/storage/sqlite/open.ts';
import { sampleKey, sampleSecret } from '../conformance/samples.ts';
import { overlaidStore } from '../support/overlaid-store.ts';

const RUNNING = 64;
const WAITING = 128;
const WAIT_MS = 200;
const BUSY = { kind: 'exhausted', reason: 'LOOKUPS_BUSY', retryAfterMs: expect.any(Number) };

function useFakeTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
}

/** Lookups that go on until they are let go, each by its number. */
function held() {
  const lookups = new Lookups();
  const begun: number[] = [];
  const gates: PromiseWithResolvers<string>[] = [];
  const look = (number: number) =>
    lookups.run(() => {
      begun.push(number);
      const gate = Promise.withResolvers<string>();
      gates.push(gate);
      return gate.promise;
    });
  const fill = (count: number) => Array.from({ length: count }, (_, number) => look(number));
  return { begun, gates, look, fill };
}

describe('lookups', () => {
  test('are bounded: so many run, so many wait in order, and one more is refused at once', async () => {
    useFakeTimers();
    const { begun, gates, look, fill } = held();
    const all = fill(RUNNING + WAITING);
    await expect(look(-1)).rejects.toMatchObject(BUSY);
    expect(begun).toHaveLength(RUNNING);
    // Whether one is found or fails, its place is the next one's.
    gates[0]?.resolve('found');
    gates[1]?.reject(storeUnavailable(new Error('away')));
    expect(await all[0]).toBe('found');
    await expect(all[1]).rejects.toMatchObject({ kind: 'unavailable' });
    expect(begun.slice(RUNNING)).toEqual([RUNNING, RUNNING + 1]);
    for (let next = 2; next < all.length; next++) {
      gates[next]?.resolve('found');
      await all[next];
    }
    expect(begun).toEqual(all.map((_, number) => number));
  });

  test('wait for a moment only, and who has gone leaves its place to others', async () => {
    useFakeTimers();
    const { begun, gates, look, fill } = held();
    const all = fill(RUNNING + WAITING);
    const ends = Promise.allSettled(all.slice(RUNNING));
    vi.advanceTimersByTime(WAIT_MS);
    for (const end of await ends) expect(end).toMatchObject({ status: 'rejected', reason: BUSY });
    const late = look(-1);
    for (const gate of gates) gate.resolve('found');
    await Promise.all(all.slice(0, RUNNING));
    gates.at(-1)?.resolve('found');
    expect(await late).toBe('found');
    expect(begun).toHaveLength(RUNNING + 1);
  });

  test('that have all ended leave every place free', async () => {
    const { gates, look, fill } = held();
    const all = fill(RUNNING + 10);
    for (let next = 0; next < all.length; next++) {
      gates[next]?.resolve('found');
      await all[next];
    }
    fill(RUNNING);
    const waiting = look(-1);
    expect(gates).toHaveLength(2 * RUNNING + 10);
    gates.at(-1)?.resolve('found');
    gates.at(-2)?.resolve('found');
    await new Promise(setImmediate);
    gates.at(-1)?.resolve('found');
    expect(await waiting).toBe('found');
  });
});

/** A store that is slow for ever to say that a secret is not there. */
async function withJunk() {
  const store = await openSqliteStore(':memory:');
  onTestFinished(() => store.close());
  const key = sampleKey();
  const secret = sampleSecret(key);
  await store.insertKey(key, secret);
  const slow = overlaidStore(store, {
    findSecret: (keyspace, lookup) =>
      lookup.startsWith('junk') ? new Promise<never>(() => {}) : store.findSecret(keyspace, lookup),
  });
  const find = (one: KeyStore) => one.findSecret(secret.keyspace, secret.lookup);
  const flood = (one: KeyStore) => {
    for (let made = 0; made < RUNNING + WAITING; made++) {
      one.findSecret(secret.keyspace, `junk ${made}`).catch(() => undefined);
    }
  };
  return { slow, key, secret, find, flood };
}

describe('a flood of made-up keys', () => {
  test('keeps no other read of the system of record waiting, nor a secret that is known', async () => {
    useFakeTimers();
    const { slow, key, secret, find, flood } = await withJunk();
    const known = new Map<string, Secret>();
    const bounded = withBoundedLookups(slow, (_keyspace, lookup) => known.get(lookup));
    expect(await find(bounded)).toEqual(secret);
    flood(bounded);
    await expect(find(bounded)).rejects.toMatchObject(BUSY);
    expect(await bounded.getKey(key.id)).toEqual(key);
    known.set(secret.lookup, secret);
    expect(await find(bounded)).toBe(secret);
  });

  test('keeps no secret waiting that is in memory, however old, and whether there is a lease or not', async () => {
    useFakeTimers();
    const { slow, secret, find, flood } = await withJunk();
    const lease = { held: true, lostFor: 0, epoch: '' };
    const size = 1_000_000;
    const cached = new CachedKeyStore(slow, { sizes: { secrets: size, keys: size, owners: size }, lease });
    expect(await find(cached)).toEqual(secret);
    flood(cached);
    await expect(cached.findSecret(secret.keyspace, 'other')).rejects.toMatchObject(BUSY);
    const hour = 3_600_000;
    vi.spyOn(performance, 'now').mockReturnValue(performance.now() + hour);
    onTestFinished(() => {
      vi.restoreAllMocks();
    });
    expect(await find(cached)).toEqual(secret);
    lease.held = false;
    expect(await find(cached)).toEqual(secret);
  });
});
