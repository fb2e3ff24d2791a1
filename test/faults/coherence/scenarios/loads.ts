/** Reads that began before a change and end after it. */

import { setTimeout } from 'node:timers/promises';
import { requireOk, type Scenario, watch } from '../scenario.ts';

/** Milliseconds that the store's answers, and what is asked of it, are on their way to the slow replica. */
const WAY_MS = 700;
const ROUNDS = 2;

export const LATE_LOAD: Scenario = {
  name: 'a read that began before a revocation and ends after it leaves nothing behind, in memory nor in Redis',
  async run(cluster, clients) {
    const [acting, slow, other] = [cluster.at(0), cluster.at(1), cluster.at(2)];
    for (let round = 0; round < ROUNDS; round++) {
      const key = await clients.create(acting);
      await clients.warm([key], [slow]);
      // All that the next Verify must read is the key itself.
      requireOk(await clients.rename(acting, key));
      slow.toStore.delay(WAY_MS);
      const early = clients.verify(slow, key.credential);
      // The store has read the key by then, and its answer is on the way.
      await setTimeout(1.15 * WAY_MS);
      requireOk(await clients.revoke(acting, key));
      await early;
      await setTimeout(100);
      await slow.toStore.restore();
      await Promise.all([slow, other].map((one) => watch(clients, one, key.credential, 300)));
      // The links to the store were slow for what was sent before as well.
      await setTimeout(2 * WAY_MS);
    }
  },
};

export const LATE_FILL_AFTER_FLUSH: Scenario = {
  name: 'a read that began before a FLUSHALL and a revocation fills no copy after them',
  async run(cluster, clients) {
    const [acting, slow, other] = [cluster.at(0), cluster.at(1), cluster.at(2)];
    const key = await clients.create(acting);
    await clients.warm([key], [slow]);
    requireOk(await clients.rename(acting, key));
    slow.toStore.delay(WAY_MS);
    const early = clients.verify(slow, key.credential);
    await setTimeout(1.15 * WAY_MS);
    await cluster.redis.command('FLUSHALL');
    requireOk(await clients.revoke(acting, key));
    await early;
    await slow.toStore.restore();
    await cluster.leased();
    await Promise.all([slow, other].map((one) => watch(clients, one, key.credential, 300)));
  },
};

export const UNLEASED_LOAD: Scenario = {
  name: 'who asks after a revocation is not given what a read brings that began before it, without a lease either',
  async run(cluster, clients) {
    const [acting, slow] = [cluster.at(0), cluster.at(1)];
    const key = await clients.create(acting);
    await clients.warm([key], [slow]);
    slow.toRedis.cut();
    await setTimeout(1200);
    slow.toStore.delay(WAY_MS / 2);
    // Each Verify reads one record after the other: whichever is under way, what comes later must not join it.
    const asked: Promise<unknown>[] = [];
    let running = true;
    const lane = (async () => {
      while (running) {
        asked.push(clients.verify(slow, key.credential));
        await setTimeout(60);
      }
    })();
    await setTimeout(2500);
    requireOk(await clients.revoke(acting, key));
    await setTimeout(1000);
    running = false;
    await lane;
    await Promise.all(asked);
    await slow.toStore.restore();
    await slow.toRedis.restore();
    await cluster.leased();
  },
};
