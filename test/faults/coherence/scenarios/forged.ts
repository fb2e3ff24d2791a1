/** Somebody writes into Redis what is not so. */

import { setTimeout } from 'node:timers/promises';
import { withRedis } from '../../../support/redis.ts';
import type { Cluster } from '../cluster.ts';
import { requireOk, type Scenario } from '../scenario.ts';

async function slotOf(cluster: Cluster, id: string): Promise<{ name: string; value: string }> {
  return withRedis(cluster.redis.url(), async (redis) => {
    const [name = ''] = await redis.keys(`gatehouse:*:key:${id}`);
    return { name, value: (await redis.get(name)) ?? '' };
  });
}

async function put(cluster: Cluster, name: string, value: string): Promise<void> {
  await withRedis(cluster.redis.url(), (redis) => redis.set(name, value, 'PX', 200_000));
}

export const SWAPPED: Scenario = {
  name: 'the copy of one key, put into the slot of a revoked one, is not believed; nor is garbage',
  async run(cluster, clients) {
    const acting = cluster.at(0);
    const [good, revoked] = [await clients.create(acting), await clients.create(acting)];
    await clients.warm([good, revoked], [acting]);
    await setTimeout(100);
    const [ofGood, ofRevoked] = [await slotOf(cluster, good.id), await slotOf(cluster, revoked.id)];
    requireOk(await clients.revoke(acting, revoked));
    const altered = ofRevoked.value.replace(/"revision":\d+/, '"revision":99');
    const forgeries = [ofGood.value, altered, 'r', `r${'A'.repeat(43)}1:{}`, 'garbage', 'rgarbage'];
    for (const [index, forged] of forgeries.entries()) {
      await put(cluster, ofRevoked.name, forged);
      const replica = cluster.at(index % 3);
      const { answer } = await clients.answered(replica, revoked.credential);
      if (answer !== 'invalid') throw new Error(`forgery ${index} was believed`);
      // The replica forgets again what it has read.
      requireOk(await clients.revoke(acting, revoked));
    }
    // Nor does it keep a good key from working.
    requireOk(await clients.rename(acting, good));
    await put(cluster, ofGood.name, ofRevoked.value);
    await clients.warm([good]);
  },
};

export const REPLAYED: Scenario = {
  name: 'a copy that was true before a revocation, put back after it, is not believed',
  async run(cluster, clients) {
    const acting = cluster.at(0);
    const key = await clients.create(acting);
    await clients.warm([key], [acting]);
    await setTimeout(100);
    const { name, value } = await slotOf(cluster, key.id);
    requireOk(await clients.revoke(acting, key));
    await put(cluster, name, value);
    await clients.warm([key]);
  },
};
