/** Wall clocks that are stepped, of a replica and of Redis, while something is taken away. */

import { setTimeout } from 'node:timers/promises';
import type { Clients, TestKey } from '../clients.ts';
import type { Cluster, Replica } from '../cluster.ts';
import { requireOk, type Scenario, watch } from '../scenario.ts';

const options = { clocks: true };
const MINUTE = 60;
const HOUR = 3600;
/** Milliseconds after which a lease that a step has ended must be there again, on a busy machine. */
const BACK_MS = 3000;

/** Asks a replica about a good key for as long as some work takes. @throws Error where it is not accepted each time. */
async function serving(
  clients: Clients,
  replicas: readonly Replica[],
  good: TestKey,
  work: () => Promise<void>,
): Promise<void> {
  let running = true;
  const lanes = replicas.map(async (replica) => {
    while (running) {
      const { answer, detail } = await clients.verify(replica, good.credential);
      if (answer !== 'valid') throw new Error(`${good.credential.name} was answered ${detail}`);
      await setTimeout(5);
    }
  });
  await Promise.all([
    work().finally(() => {
      running = false;
    }),
    ...lanes,
  ]);
}

async function keysOf(cluster: Cluster, clients: Clients, count: number): Promise<TestKey[]> {
  const keys: TestKey[] = [];
  while (keys.length < count) keys.push(await clients.create(cluster.at(keys.length % 3)));
  await clients.warm(keys);
  return keys;
}

export const STEPPED: Scenario = {
  name: 'a replica whose clock is stepped goes on serving, and accepts nothing that was taken away, by itself neither',
  options,
  async run(cluster, clients) {
    const [acting, stepped] = [cluster.at(0), cluster.at(1)];
    for (const step of [-MINUTE, MINUTE]) {
      const [good, before, after, own] = (await keysOf(cluster, clients, 4)) as [
        TestKey,
        TestKey,
        TestKey,
        TestKey,
      ];
      await serving(clients, cluster.replicas, good, async () => {
        const first = clients.revoke(acting, before);
        stepped.clock.step(step);
        requireOk(await first);
        await watch(clients, stepped, before.credential, 100);
        const second = clients.revoke(acting, after);
        stepped.clock.step(0);
        requireOk(await second);
        await watch(clients, stepped, after.credential, 100);
        stepped.clock.step(step);
        requireOk(await clients.revoke(stepped, own));
        await Promise.all(cluster.replicas.map((one) => watch(clients, one, own.credential, 100)));
        // What it makes while its clock is wrong is good everywhere.
        const made = await clients.create(stepped);
        await clients.warm([made]);
        const { body } = requireOk(await clients.call(acting, 'KeyService/GetKey', { id: made.id }));
        const ahead = (Date.parse(body.key.createTime) - Date.now()) / 1000;
        if (Math.abs(ahead - step) > MINUTE / 2) throw new Error(`its clock is ahead by ${ahead} s`);
        await cluster.leased(BACK_MS);
      });
      stepped.clock.step(0);
      await cluster.leased(BACK_MS);
    }
  },
};

export const STEPPED_UNHEARD: Scenario = {
  name: 'a replica that hears of no change has its lease no longer because its clock was set back',
  options,
  async run(cluster, clients) {
    const [acting, stepped] = [cluster.at(0), cluster.at(1)];
    const [key = await clients.create(acting)] = await keysOf(cluster, clients, 1);
    stepped.toRedis.halfOpen();
    stepped.clock.step(-MINUTE);
    requireOk(await clients.revoke(acting, key));
    await watch(clients, stepped, key.credential, 300);
    stepped.clock.step(0);
    await watch(clients, stepped, key.credential, 300);
  },
};

export const STEPPED_STOPPED: Scenario = {
  name: 'a replica whose clock is stepped while it is stopped accepts nothing that was taken away meanwhile',
  options,
  async run(cluster, clients) {
    const [acting, stepped] = [cluster.at(0), cluster.at(1)];
    for (const step of [-MINUTE, MINUTE]) {
      const keys = await keysOf(cluster, clients, 2);
      stepped.pause();
      stepped.clock.step(step);
      for (const answer of await Promise.all(keys.map((key) => clients.revoke(acting, key))))
        requireOk(answer);
      const queued = keys.map(({ credential }) => clients.verify(stepped, credential));
      await setTimeout(50);
      stepped.resume();
      await Promise.all(queued);
      for (const { credential } of keys) await watch(clients, stepped, credential, 100);
      stepped.clock.step(0);
      await cluster.leased();
    }
  },
};

export const REDIS_STEPPED: Scenario = {
  name: 'a Redis whose clock is stepped makes no answer wrong, leaves keys verified and gives leases as before',
  options,
  async run(cluster, clients) {
    // (From an hour back to the right time is an hour forward.)
    for (const step of [-HOUR, 0]) {
      const [good, revoked] = (await keysOf(cluster, clients, 2)) as [TestKey, TestKey];
      await serving(clients, cluster.replicas, good, async () => {
        const revocation = clients.revoke(cluster.at(0), revoked);
        cluster.redisClock.step(step);
        requireOk(await revocation);
        await clients.warm([revoked]);
        const [time] = (await cluster.redis.command('TIME')) as [string];
        const ahead = Number(time) - Date.now() / 1000;
        if (Math.abs(ahead - step) > HOUR / 2) throw new Error(`its clock is ahead by ${ahead} s`);
        await setTimeout(300);
        await cluster.leased(BACK_MS);
        const [another = good] = await keysOf(cluster, clients, 1);
        requireOk(await clients.revoke(cluster.at(1), another));
        await clients.warm([another, revoked]);
      });
    }
  },
};
