/** Two replicas over one Redis: what each guard of the protocol is for (docs/revocation.md). */

import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { LEASE_MS } from '../../src/coherence/lease.ts';
import type { ReplicaParts } from '../../src/coherence/replica.ts';
import type { CachedKeyStore } from '../../src/storage/cache/memory.ts';
import type { KeyStore } from '../../src/storage/key-store.ts';
import type { RedisLink } from '../../src/storage/redis/link.ts';
import { openSqliteStore } from '../../src/storage/sqlite/open.ts';
import { changed, sampleKey, sampleSecret, unique } from '../conformance/samples.ts';
import { gated } from '../storage/cache/gated-store.ts';
import { REDIS, REDIS_OLDEST, type RedisServer, startRedis } from '../support/redis.ts';
import { type CachedReplica, leased, type ReplicaOptions, startReplica } from '../support/replicas.ts';

/** How a test gets between a replica and its Redis. */
interface Hands {
  /** Answers of syncs wait for this. */
  syncs: Promise<void> | undefined;
  /** Every command fails. */
  away: boolean;
}

function held(hands: Hands): NonNullable<ReplicaOptions['behind']> {
  return (link: RedisLink) => {
    const reach = <T>(work: () => Promise<T>): Promise<T> =>
      hands.away ? Promise.reject(new Error('away')) : work();
    const own: ReplicaParts['link'] = {
      get ready() {
        return link.ready;
      },
      get settleMs() {
        return link.settleMs;
      },
      async sync(standing, nonce) {
        const gate = hands.syncs;
        const reply = await reach(() => link.sync(standing, nonce));
        await gate;
        return reply;
      },
      announce: (...values) => reach(() => link.announce(...values)),
      members: (epoch) => reach(() => link.members(epoch)),
      remove: (...values) => reach(() => link.remove(...values)),
      leave: (id) => reach(() => link.leave(id)),
      onHint: (listener) => link.onHint(listener),
    };
    return own;
  };
}

/** Puts back what is taken away, even where the test fails. */
const pass = async (promise: Promise<unknown>): Promise<number> => {
  const begun = performance.now();
  await promise;
  return performance.now() - begun;
};

describe.each([
  ['Valkey', REDIS],
  ['Redis 6.2', REDIS_OLDEST],
])('over %s', (_name, program) => {
  // Most of them wait, so they run at once; what they opened is closed after the last.
  describe.skipIf(program === '').concurrent('two replicas', () => {
    let redis: RedisServer;
    beforeAll(async () => {
      redis = await startRedis(program);
    });
    const ends: (() => unknown)[] = [];
    afterAll(async () => {
      for (const end of ends.reverse()) await end();
      await redis?.remove();
    });

    /** Both in an epoch that they know for long enough, each over the same store. */
    async function two(server = redis) {
      const domain = unique('domain');
      const hands: Hands = { syncs: undefined, away: false };
      const here = await startReplica(server.url(), domain);
      const there = await startReplica(server.url(), domain, { behind: held(hands) });
      const store = await openSqliteStore(':memory:');
      const gate = gated(store);
      ends.push(async () => {
        hands.syncs = undefined;
        hands.away = false;
        await here.stop();
        await there.stop();
        await store.close();
      });
      const [one, other] = [here.over(store), there.over(gate.store)];
      await setTimeout(LEASE_MS);
      return { domain, here, there, one, other, store, gate, hands };
    }

    /** A stored key, in the memory of the replica. */
    async function known(store: KeyStore, replica: CachedKeyStore) {
      const key = sampleKey({ name: 'old' });
      await store.insertKey(key, sampleSecret(key));
      expect((await replica.getKey(key.id))?.name).toBe('old');
      return { key, next: changed(key, { name: 'new' }) };
    }

    const confirm = ({ replica }: CachedReplica, id: string) =>
      replica.confirm([{ name: `key:${id}`, keyspace: 'acx', revision: 2 }]);

    test('a change is confirmed by both, soon, and then read by both', async () => {
      const { here, one, other, store } = await two();
      const { key, next } = await known(store, other);
      await one.getKey(key.id);
      await one.replaceKey(next);
      const begun = performance.now();
      expect(await confirm(here, key.id)).toMatchObject({ replicas: 2, acknowledged: 2 });
      expect(performance.now() - begun).toBeLessThan(LEASE_MS / 2);
      expect([await one.getKey(key.id), await other.getKey(key.id)]).toEqual([next, next]);
    });

    test('a change waits for who has not heard of it, until that one’s lease is over', async () => {
      const { here, there, one, other, store, hands } = await two();
      const { key, next } = await known(store, other);
      hands.away = true;
      await one.replaceKey(next);
      const ms = await pass(confirm(here, key.id));
      expect(ms).toBeGreaterThan(LEASE_MS - 5);
      expect(there.replica.held).toBe(false);
      expect(await other.getKey(key.id)).toEqual(next);
      // Taken off, it is waited for no more.
      await setTimeout(100);
      expect(await pass(confirm(here, key.id))).toBeLessThan(LEASE_MS / 2);
      // Back again, it holds a lease, knows of the change, and is waited for.
      hands.away = false;
      await leased(there.replica);
      expect(await other.getKey(key.id)).toEqual(next);
      expect(await confirm(here, key.id)).toMatchObject({ replicas: 2, acknowledged: 2 });
    });

    test('an answer that was long on its way gives a lease that is over', async () => {
      const { there, hands } = await two();
      const gate = Promise.withResolvers<void>();
      hands.syncs = gate.promise;
      await setTimeout(LEASE_MS);
      hands.away = true;
      gate.resolve();
      await setTimeout(20);
      expect(there.replica.held).toBe(false);
    });

    test('a load that began before a change is neither kept nor shared after it', async () => {
      const { here, one, other, store, gate } = await two();
      const key = sampleKey({ name: 'old' });
      await store.insertKey(key, sampleSecret(key));
      const next = changed(key, { name: 'new' });
      const release = gate.hold('getKey');
      const early = other.getKey(key.id);
      await setTimeout(50);
      await one.replaceKey(next);
      expect(await confirm(here, key.id)).toMatchObject({ replicas: 2, acknowledged: 2 });
      expect(await other.getKey(key.id)).toEqual(next);
      release();
      expect((await early)?.name).toBe('old');
      await setTimeout(50);
      // Neither in memory nor in Redis, where the load would have left it.
      other.clear();
      expect(await other.getKey(key.id)).toEqual(next);
      expect(await one.getKey(key.id)).toEqual(next);
    });

    test('whoever lost its lease asks the store, and what it reads then is not kept', async () => {
      const { there, one, other, store, hands } = await two();
      const { key, next } = await known(store, other);
      hands.away = true;
      await vi.waitFor(async () => expect(await there.replica.held).toBe(false), { timeout: 3000 });
      // Nobody confirms it.
      await one.replaceKey(next);
      expect(await other.getKey(key.id)).toEqual(next);
    });

    test('a Redis that lost everything begins an epoch: memory is emptied, and changes wait whole', async () => {
      const own = await startRedis(program);
      ends.push(() => own.remove());
      const { here, there, one, other, store } = await two(own);
      const { key, next } = await known(store, other);
      const before = here.replica.epoch;
      await own.command('FLUSHALL');
      await store.replaceKey(next);
      await one.replaceKey(changed(next, {}));
      expect(await pass(confirm(here, key.id))).toBeGreaterThan(LEASE_MS - 5);
      expect(here.replica.epoch).not.toBe(before);
      await vi.waitFor(async () => expect(await there.replica.epoch).toBe(here.replica.epoch));
      expect((await other.getKey(key.id))?.name).toBe('new');
    });

    test('who is further behind than the log reaches forgets everything', async () => {
      const { domain, here, there, one, other, store, hands } = await two();
      const { key, next } = await known(store, other);
      hands.away = true;
      await one.replaceKey(next);
      await confirm(here, key.id);
      await confirm(here, 'key_another');
      await redis.command('XTRIM', `gatehouse:{${domain}}:log`, 'MAXLEN', 1);
      hands.away = false;
      await leased(there.replica);
      expect(await other.getKey(key.id)).toEqual(next);
      expect(there.replica.counts.lapses.gap).toBe(1);
    });

    test('a change that cannot be announced is not confirmed', async () => {
      const { there, hands } = await two();
      hands.away = true;
      await expect(confirm(there, 'key_1')).rejects.toMatchObject({
        kind: 'unavailable',
        reason: 'PROPAGATION_UNCONFIRMED',
      });
    });

    test('who waits for a silent one asks for it ever more seldom', async () => {
      const domain = unique('domain');
      const { replica, link, stop } = await startReplica(redis.url(), domain);
      const looks = vi.spyOn(link, 'members');
      ends.push(stop);
      await setTimeout(LEASE_MS);
      await redis.command('HSET', `gatehouse:{${domain}}:members`, 'silent', '0/1');
      const records = [{ name: 'key:1', keyspace: 'acx', revision: 2 }] as const;
      const ms = await pass(replica.confirm(records));
      expect(ms).toBeGreaterThan(LEASE_MS - 5);
      expect(ms).toBeLessThan(LEASE_MS + 200);
      expect(looks.mock.calls.length).toBeGreaterThan(2);
      expect(looks.mock.calls.length).toBeLessThan(50);
    });

    test('who was taken its domain away confirms nothing, before it knows of that and after', async () => {
      let ours = true;
      let wall = 0;
      const { replica, stop } = await startReplica(redis.url(), unique('domain'), {
        clocks: { monotonic: () => performance.now(), wall: () => wall },
        isOurs: async () => ours,
      });
      ends.push(stop);
      await setTimeout(LEASE_MS);
      const records = [{ name: 'key:1', keyspace: 'acx', revision: 2 }] as const;
      expect(await replica.confirm(records)).toMatchObject({ replicas: 1, acknowledged: 1 });
      const refused = { kind: 'unavailable', reason: 'PROPAGATION_UNCONFIRMED' };
      // It was stopped for long, and others made a domain of their own.
      ours = false;
      wall += 10_000;
      expect(replica.held).toBe(false);
      await expect(replica.confirm(records)).rejects.toMatchObject(refused);
      await expect(replica.tell(records)).rejects.toThrow();
      ours = true;
      await leased(replica);
      replica.forgo();
      await expect(replica.confirm(records)).rejects.toMatchObject(refused);
      await expect(replica.tell(records)).rejects.toThrow();
    });

    test('who stops is waited for no more', async () => {
      const { here, there } = await two();
      await there.stop();
      const begun = performance.now();
      expect(await confirm(here, 'key_1')).toMatchObject({ replicas: 1, acknowledged: 1 });
      expect(performance.now() - begun).toBeLessThan(LEASE_MS / 2);
    });

    test('copies in Redis serve the other replica, and none that somebody put there is believed', async () => {
      const { domain, here, one, other, store, gate } = await two();
      const keys = [sampleKey({ name: 'a' }), sampleKey({ name: 'b' })] as const;
      const slot = (id: string) => `gatehouse:{${domain}}:${here.replica.epoch}:key:${id}`;
      for (const key of keys) {
        await store.insertKey(key, sampleSecret(key));
        await one.getKey(key.id);
        await vi.waitFor(async () => expect(await redis.command('GET', slot(key.id))).toMatch(/^r/));
      }
      const [a, b] = keys;
      expect((await other.getKey(a.id))?.name).toBe('a');
      expect(gate.calls.getKey).toBeUndefined();
      const good = String(await redis.command('GET', slot(a.id)));
      const forged = [
        good.replace('"a"', '"c"'),
        String(await redis.command('GET', slot(b.id))),
        `r${'A'.repeat(43)}${good.slice(44)}`,
        'r',
        `${good}x`,
      ];
      for (const [index, value] of forged.entries()) {
        await redis.command('SET', slot(a.id), value, 'PX', 60_000);
        other.clear();
        expect((await other.getKey(a.id))?.name).toBe('a');
        expect(gate.calls.getKey).toBe(index + 1);
      }
    });
  });
});

describe.skipIf(REDIS === '')('a replica of Redis that becomes the master', () => {
  test('has slots of another epoch, which nobody believes', async () => {
    const master = await startRedis();
    const copy = await startRedis(REDIS, { replicaOf: master });
    onTestFinished(async () => {
      await master.remove();
      await copy.remove();
    });
    const args = ['CONFIG', 'SET', 'min-replicas-to-write', '1', 'min-replicas-max-lag', '1'] as const;
    await master.command(args[0], ...args.slice(1));
    const { link, replica, stop } = await startReplica(master.url(), 'd');
    onTestFinished(stop);
    const taken = await link.take(replica.epoch, 'key:1', 'token');
    expect(taken).toEqual({ token: 'token' });
    await link.fill(replica.epoch, 'key:1', 'token', 'r value', 60_000);
    await expect.poll(() => copy.command('GET', `gatehouse:{d}:${replica.epoch}:key:1`)).toBe('r value');
    await copy.command('REPLICAOF', 'NO', 'ONE');
    const { RedisLink: Link } = await import('../../src/storage/redis/link.ts');
    const moved = new Link(copy.url(), 'd', () => undefined);
    onTestFinished(() => moved.close());
    await expect.poll(() => moved.ready, { timeout: 5000 }).toBe(true);
    expect(await moved.take(replica.epoch, 'key:1', 'other')).toBeUndefined();
  });
});
