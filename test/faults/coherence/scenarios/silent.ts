/** Replicas that are stopped, cut off or slow while something is taken away. */

import { setTimeout } from 'node:timers/promises';
import { LEASE_MS } from '../../../../src/coherence/lease.ts';
import { withRedis } from '../../../support/redis.ts';
import type { TestKey } from '../clients.ts';
import type { Cluster } from '../cluster.ts';
import { requireOk, type Scenario, watch, within } from '../scenario.ts';

/** Requests that queue in the socket of a stopped replica. */
const QUEUED = 20;
const ROUNDS = 6;
const SLOW_ROUNDS = 3;
const STEPS = 6;
/** Milliseconds for which a replica is stopped after a change whose next sync reaches Redis before LEASE has passed. */
const BACK_AFTER_MS = [660, 720];
/** What is between it and Redis is on its way for so many milliseconds. */
const BACK_DELAY_MS = 120;
/** Changes that follow on each other, most of them when it was given up. */
const FOLLOWING = 10;
const FOLLOWING_MS = 30;

export const STOPPED: Scenario = {
  name: 'a replica that was stopped across a revocation accepts the key no more, neither in what queued nor later',
  async run(cluster, clients) {
    const [acting, stopped] = [cluster.at(0), cluster.at(1)];
    const key = await clients.create(acting);
    await clients.warm([key]);
    // Connections that are open already: their requests are the first that it reads.
    await Promise.all(Array.from({ length: QUEUED }, () => clients.verify(stopped, key.credential)));
    stopped.pause();
    requireOk(await clients.revoke(acting, key));
    const queued = Array.from({ length: QUEUED }, () => clients.verify(stopped, key.credential));
    await setTimeout(100);
    stopped.resume();
    await Promise.all(queued);
    await watch(clients, stopped, key.credential, 1500);
  },
};

export const CUT_OFF: Scenario = {
  name: 'a replica that is cut off from Redis accepts the key no more once its revocation has returned OK',
  async run(cluster, clients) {
    const [acting, away] = [cluster.at(0), cluster.at(1)];
    for (const fault of ['cut', 'halfOpen'] as const) {
      const key = await clients.create(acting);
      await clients.warm([key]);
      away.toRedis[fault]();
      requireOk(await clients.revoke(acting, key));
      await watch(clients, away, key.credential, 1000);
      await away.toRedis.restore();
      await watch(clients, away, key.credential, 1500);
      await cluster.leased();
    }
  },
};

export const SLOW: Scenario = {
  name: 'a replica that hears late of a change is waited for',
  async run(cluster, clients) {
    const [acting, slow] = [cluster.at(0), cluster.at(1)];
    slow.toRedis.delay(120);
    await setTimeout(600);
    for (let round = 0; round < ROUNDS; round++) {
      const key = await clients.create(acting);
      await clients.answered(slow, key.credential);
      requireOk(await clients.revoke(acting, key));
      for (let asked = 0; asked < 10; asked++) await clients.verify(slow, key.credential);
    }
  },
};

/** What each member has noted last, by its id, and under `#seq` the number of the last change. */
async function noted(cluster: Cluster): Promise<ReadonlyMap<string, string>> {
  return withRedis(cluster.redis.url(), async (redis) => {
    const [members = ''] = await redis.keys('gatehouse:*:members');
    return new Map(Object.entries(await redis.hgetall(members)));
  });
}

/** Waits until a member, or the number of the last change, has another value than before. */
async function notedAnew(cluster: Cluster, name: string, before: ReadonlyMap<string, string>): Promise<void> {
  await within(
    `${name} is noted anew`,
    5000,
    async () => (await noted(cluster)).get(name) !== before.get(name),
  );
}

export const RETURNED: Scenario = {
  name: 'a replica that was given up while it came back is waited for by the changes that follow',
  async run(cluster, clients) {
    const [acting, back, other] = [cluster.at(0), cluster.at(1), cluster.at(2)];
    for (const pause of BACK_AFTER_MS) {
      const first = await clients.create(acting);
      const following = await Promise.all(Array.from({ length: FOLLOWING }, () => clients.create(acting)));
      await clients.warm(following, [back]);
      back.toRedis.delay(BACK_DELAY_MS);
      await setTimeout(600);
      const before = await noted(cluster);
      // For less than a second, or it would make its connection anew.
      back.pause();
      const given = clients.revoke(acting, first);
      await notedAnew(cluster, '#seq', before);
      const announced = performance.now();
      const since = (ms: number) => setTimeout(Math.max(0, announced + ms - performance.now()));
      const revoked = following.map(async (key, index) => {
        await since(LEASE_MS - 50 + index * FOLLOWING_MS);
        requireOk(await clients.revoke(other, key));
        await watch(clients, back, key.credential, 200);
      });
      await since(pause / 2);
      const stopped = await noted(cluster);
      await since(pause);
      const now = await noted(cluster);
      const [silent = ''] = [...stopped].find(([id, value]) => id[0] !== '#' && now.get(id) === value) ?? [];
      back.resume();
      // Just before it is given up it is heard of again. It hears of its lease; that it has applied something is not heard.
      await notedAnew(cluster, silent, now);
      await setTimeout(1.25 * BACK_DELAY_MS);
      back.toRedis.halfOpen();
      await Promise.all([given, ...revoked]);
      await back.toRedis.restore();
      await cluster.leased();
    }
  },
};

export const VERY_SLOW: Scenario = {
  name: 'a lease that was granted long ago by the time that its grant arrives is none',
  async run(cluster, clients) {
    const [acting, slow] = [cluster.at(0), cluster.at(1)];
    for (let round = 0; round < SLOW_ROUNDS; round++) {
      const keys: TestKey[] = [];
      while (keys.length < STEPS) keys.push(await clients.create(acting));
      await clients.warm(keys, [slow]);
      slow.toRedis.delay(450);
      await setTimeout(2500);
      // One of them is announced when a question of the slow one has just been answered, and the answer is on its way.
      const taken = keys.map(async (key, step) => {
        await setTimeout(170 * step);
        requireOk(await clients.revoke(acting, key));
        await watch(clients, slow, key.credential, 800);
      });
      await Promise.all(taken);
      await slow.toRedis.restore();
      await cluster.leased();
    }
  },
};

export const ALONE: Scenario = {
  name: 'a replica that is the only one left accepts no more what it has taken away itself',
  async run(cluster, clients) {
    const [left, ...others] = [cluster.at(0), cluster.at(1), cluster.at(2)];
    for (const other of others) await other.kill();
    const keys = [await clients.create(left), await clients.create(left), await clients.create(left)];
    await clients.warm(keys, [left]);
    for (const [index, key] of keys.entries()) {
      // By the second one it knows that nobody is to be waited for.
      requireOk(await clients.revoke(left, key));
      for (let asked = 0; asked < 10; asked++) await clients.verify(left, key.credential);
      if (index === 0) left.toRedis.delay(100);
      await setTimeout(600);
    }
    await left.toRedis.restore();
    for (const other of others) await other.start();
  },
};

export const OWNER_STOPPED: Scenario = {
  name: 'RevokeKeys, not_before and the disabling of an owner hold on a replica that was stopped meanwhile',
  async run(cluster, clients) {
    const [acting, stopped] = [cluster.at(0), cluster.at(2)];
    for (const change of ['revokeOwner', 'endBefore', 'disableOwner'] as const) {
      const owner = { kind: 'user', id: `${change}-${performance.now()}` };
      const keys = [await clients.create(acting, owner), await clients.create(acting, owner)];
      await clients.warm(keys);
      stopped.pause();
      requireOk(await clients[change](acting, owner, keys));
      const queued = keys.map(({ credential }) => clients.verify(stopped, credential));
      await setTimeout(50);
      stopped.resume();
      await Promise.all(queued);
      for (const { credential } of keys) await watch(clients, stopped, credential, 300);
      await clients.warm(keys);
      await cluster.leased();
    }
  },
};

export const OWNER_SLOW: Scenario = {
  name: 'RevokeKeys, not_before and the disabling of an owner hold on a replica that hears late of them',
  async run(cluster, clients) {
    const [acting, slow] = [cluster.at(0), cluster.at(2)];
    slow.toRedis.delay(120);
    await setTimeout(600);
    for (const change of ['revokeOwner', 'endBefore', 'disableOwner', 'revokeKeyspace'] as const) {
      const id = `${change}-${performance.now()}`;
      const owner = change === 'revokeKeyspace' ? undefined : { kind: 'user', id };
      const keyspace = owner === undefined ? await clients.createKeyspace(acting) : 'default';
      const keys = [
        await clients.create(acting, owner, keyspace),
        await clients.create(acting, owner, keyspace),
      ];
      await clients.warm(keys, [slow]);
      if (change === 'revokeKeyspace') requireOk(await clients.revokeKeyspace(acting, keyspace, keys));
      else if (owner !== undefined) requireOk(await clients[change](acting, owner, keys));
      await Promise.all(keys.map(({ credential }) => watch(clients, slow, credential, 300)));
    }
  },
};

export const EVERY_CHANGE: Scenario = {
  name: 'whatever is taken away on one replica is gone on every other when the call returns',
  async run(cluster, clients) {
    for (let round = 0; round < ROUNDS; round++) {
      const acting = cluster.at(round % 3);
      const gone = async (key: TestKey) => {
        const { credential } = key;
        await clients.warm([key]);
        return () => Promise.all(cluster.replicas.map((one) => clients.verify(one, credential)));
      };
      const revoked = await clients.create(acting);
      const askRevoked = await gone(revoked);
      requireOk(await clients.revoke(acting, revoked));
      await askRevoked();

      const rotated = await clients.create(acting);
      const askRotated = await gone(rotated);
      requireOk(await clients.rotate(acting, rotated));
      await askRotated();
      // The new one works everywhere at once.
      await clients.warm([rotated]);

      const disabled = await clients.create(acting);
      const askDisabled = await gone(disabled);
      requireOk(await clients.disable(acting, disabled));
      await askDisabled();

      const keyspace = await clients.createKeyspace(acting);
      const inside = await clients.create(acting, undefined, keyspace);
      const askInside = await gone(inside);
      requireOk(await clients.revokeKeyspace(acting, keyspace, [inside]));
      await askInside();
    }
  },
};
