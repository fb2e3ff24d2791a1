/** Redis stopped, killed, emptied, or back with what it knew before, while something is taken away. */

import { setTimeout } from 'node:timers/promises';
import type { Cluster } from '../cluster.ts';
import { requireOk, requireReason, type Scenario, watch } from '../scenario.ts';

/** Within which a change must be answered that nobody can confirm, in milliseconds: its patience and a busy machine. */
const ANSWERED_MS = 5000;

/** The names of Redis' keys that end so. */
async function keysOf(cluster: Cluster, end: string): Promise<string[]> {
  return (await cluster.redis.command('KEYS', `gatehouse:*${end}`)) as string[];
}

export const FLUSHED: Scenario = {
  name: 'a replica that Redis has forgotten is waited for: it may still hold a lease that it was given before',
  async run(cluster, clients) {
    const [acting, forgotten] = [cluster.at(0), cluster.at(1)];
    for (const pause of [0, 150]) {
      const key = await clients.create(acting);
      await clients.warm([key]);
      await setTimeout(100);
      forgotten.toRedis.halfOpen();
      await cluster.redis.command('FLUSHALL');
      await setTimeout(pause);
      requireOk(await clients.revoke(acting, key));
      await watch(clients, forgotten, key.credential, 1200);
      await forgotten.toRedis.restore();
      await watch(clients, forgotten, key.credential, 1500);
      await cluster.leased();
    }
  },
};

export const EMPTIED: Scenario = {
  name: 'a replica that finds Redis emptied gives out nothing of what it knew before',
  async run(cluster, clients) {
    const [acting, away] = [cluster.at(0), cluster.at(1)];
    const key = await clients.create(acting);
    await clients.warm([key]);
    away.toRedis.cut();
    requireOk(await clients.revoke(acting, key));
    await cluster.redis.restartEmpty();
    await away.toRedis.restore();
    await cluster.leased();
    await watch(clients, away, key.credential, 300);
  },
};

export const TRIMMED: Scenario = {
  name: 'a replica that was away for longer than the log reaches back gives out nothing of what it knew before',
  async run(cluster, clients) {
    const [acting, away] = [cluster.at(0), cluster.at(1)];
    const key = await clients.create(acting);
    await clients.warm([key]);
    away.toRedis.cut();
    requireOk(await clients.revoke(acting, key));
    const [log = ''] = await keysOf(cluster, ':log');
    await cluster.redis.command('XTRIM', log, 'MAXLEN', '0');
    await away.toRedis.restore();
    await cluster.leased();
    await watch(clients, away, key.credential, 300);
  },
};

/** So many entries of the log about keys that are not there. */
const FILLING = `
for _ = 1, tonumber(ARGV[1]) do
  local seq = redis.call('HINCRBY', KEYS[1], '#seq', 1)
  redis.call('XADD', KEYS[2], seq .. '-0', 'r', 'key:none', 'k', 'default', 'v', '1', 't', '1')
end`;

export const FAR_BEHIND: Scenario = {
  name: 'a replica that is far behind gives out nothing of what it knew before until it has caught up',
  async run(cluster, clients) {
    const [acting, away] = [cluster.at(0), cluster.at(1)];
    const key = await clients.create(acting);
    await clients.warm([key]);
    away.toRedis.cut();
    const [members = ''] = await keysOf(cluster, ':members');
    const [log = ''] = await keysOf(cluster, ':log');
    await cluster.redis.command('EVAL', FILLING, 2, members, log, 2500);
    requireOk(await clients.revoke(acting, key));
    await away.toRedis.restore();
    away.toRedis.delay(80);
    await watch(clients, away, key.credential, 3000);
    await away.toRedis.restore();
  },
};

export const OLD_DUMP: Scenario = {
  name: 'a Redis that comes back with copies of an earlier time does not have them believed',
  async run(cluster, clients) {
    const acting = cluster.at(0);
    const keys = [await clients.create(acting), await clients.create(acting)];
    await clients.warm(keys);
    await setTimeout(100);
    await cluster.redis.command('SAVE');
    for (const key of keys) requireOk(await clients.revoke(acting, key));
    await cluster.redis.kill();
    await cluster.redis.start();
    await cluster.leased();
    await clients.warm(keys);
    await cluster.redis.restartEmpty();
  },
};

export const SHARED: Scenario = {
  name: 'the copies that replicas share are forgotten with the change, also for one that never asked',
  async run(cluster, clients) {
    const acting = cluster.at(0);
    const key = await clients.create(acting);
    await clients.warm([key], [cluster.at(1)]);
    await setTimeout(100);
    requireOk(await clients.revoke(acting, key));
    await clients.warm([key]);
  },
};

/** Milliseconds until every replica has noticed that the data is another one. */
const NOTICED_MS = 1500;

export const SWAPPED_BACK: Scenario = {
  name: 'data of Redis that was left and comes back brings no copy of then with it',
  async run(cluster, clients) {
    const key = await clients.create(cluster.at(0));
    await clients.warm([key]);
    await cluster.redis.command('SWAPDB', '0', '7');
    await setTimeout(NOTICED_MS);
    await cluster.leased();
    requireOk(await clients.revoke(cluster.at(1), key));
    await cluster.redis.command('SWAPDB', '0', '7');
    await Promise.all(cluster.replicas.map((one) => watch(clients, one, key.credential, NOTICED_MS)));
    await cluster.leased();
    await clients.warm([key]);
  },
};

export const AWAY: Scenario = {
  name: 'while Redis is away keys verify, RevokeKey tells that it is not confirmed, and RotateKey changes nothing',
  async run(cluster, clients) {
    const acting = cluster.at(0);
    for (const how of ['kill', 'pause'] as const) {
      const [good, revoked, rotated] = [
        await clients.create(acting),
        await clients.create(acting),
        await clients.create(acting),
      ];
      await clients.warm([good, revoked, rotated]);
      await cluster.redis[how]();
      const lanes = cluster.replicas.map((one) => watch(clients, one, good.credential, 3000));
      const answer = requireReason(await clients.revoke(acting, revoked), 'PROPAGATION_UNCONFIRMED');
      if (answer.end - answer.start > ANSWERED_MS) throw new Error('RevokeKey kept its caller waiting');
      // By now no replica has a lease, so that what is stored is what is answered.
      for (const replica of cluster.replicas) {
        const { answer: now } = await clients.answered(replica, revoked.credential);
        if (now !== 'invalid')
          clients.violations.push(`${replica.name} accepts what was recorded as revoked`);
      }
      requireReason(await clients.rotate(acting, rotated), 'REPLICAS_UNREACHABLE');
      for (const one of rotated.credential.withdrawals) one.undone = performance.now();
      await clients.warm([rotated]);
      await Promise.all(lanes);
      if (how === 'kill') await cluster.redis.start();
      else cluster.redis.resume();
      await cluster.leased();
      requireOk(await clients.revoke(acting, revoked));
      await clients.warm([good, revoked, rotated]);
    }
    if (clients.unanswered > 0) throw new Error('a Verify was left without an answer');
  },
};
