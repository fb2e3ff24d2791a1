/** A Redis with copies, of which one takes the master's place while something is taken away. */

import { setTimeout } from 'node:timers/promises';
import { LEASE_MS } from '../../../../src/coherence/lease.ts';
import type { Clients, TestKey } from '../clients.ts';
import type { Cluster, Replica } from '../cluster.ts';
import { requireOk, type Scenario, within } from '../scenario.ts';

/** Two, so that whichever becomes the master has a copy of its own, without which it takes no writes. */
const options = { copies: 2 };
/** Milliseconds within which a change is confirmed again: no lease is taken for four seconds, and a busy machine. */
const CONFIRMED_MS = 20_000;
/** Milliseconds for which a master that was cut off takes writes, most likely. */
const TAKEN_MS = 1200;
/** Milliseconds that what is between the old master and its copies is on its way: their connections' ends as well. */
const LOST_MS = 60_000;
/** Milliseconds that a replica with a lease needs to have read what it is asked about. */
const READ_MS = 200;

/** Asks for a revocation until it is confirmed. */
async function revokedSoon(clients: Clients, replica: Replica, key: TestKey): Promise<void> {
  await within(`${replica.name} has a revocation confirmed`, CONFIRMED_MS, async () => {
    const answer = await clients.revoke(replica, key);
    if (answer.reason !== 'PROPAGATION_UNCONFIRMED') requireOk(answer);
    return answer.code === 'ok';
  });
}

/** The name by which these replicas reach Redis leads to the master of now, and their connections end. */
async function move(cluster: Cluster, replicas: readonly Replica[]): Promise<void> {
  for (const { toRedis } of replicas) {
    toRedis.lead(cluster.redis.port);
    toRedis.cut();
    await toRedis.restore();
  }
}

export const SPLIT: Scenario = {
  name: 'while a master that was cut off still takes writes, nobody believes the new one, and no revocation is confirmed',
  options,
  async run(cluster, clients) {
    const [moved, other, left] = [cluster.at(0), cluster.at(1), cluster.at(2)];
    // By the new master, which the one that is left does not hear; and by the old one, which the others do not hear.
    const [before, here, there, good] = [
      await clients.create(moved),
      await clients.create(moved),
      await clients.create(moved),
      await clients.create(moved),
    ];
    // It has been in its epoch for long enough to confirm.
    await revokedSoon(clients, left, before);
    await clients.warm([here, there, good]);
    cluster.copying.delay(LOST_MS);
    const old = await cluster.promote();
    await move(cluster, [moved, other]);
    let running = true;
    const asking = cluster.replicas.map(async (replica) => {
      while (running) {
        for (const { credential } of [here, there, good]) await clients.verify(replica, credential);
        await setTimeout(5);
      }
    });
    const end = performance.now() + TAKEN_MS;
    const byTheOldOne = (async () => {
      // The leases of before are over by then. Where somebody should believe the new master, it has the key in memory.
      await setTimeout(LEASE_MS);
      while (!(await other.leased()) && performance.now() < end) await setTimeout(20);
      await setTimeout(READ_MS);
      await clients.revoke(left, there);
    })();
    await Promise.all([revokedSoon(clients, moved, here), byTheOldOne]);
    running = false;
    await Promise.all(asking);
    await move(cluster, [left]);
    await cluster.demote(old);
    await cluster.leased();
    for (const key of [here, there]) await revokedSoon(clients, left, key);
    await clients.warm([here, there, good]);
  },
};

export const MASTER_KILLED: Scenario = {
  name: 'when Redis’s master is killed and a copy takes its place, keys verify, and changes are confirmed again soon',
  options,
  async run(cluster, clients) {
    const [good, revoked, later] = [
      await clients.create(cluster.at(0)),
      await clients.create(cluster.at(0)),
      await clients.create(cluster.at(0)),
    ];
    await clients.warm([good, revoked, later]);
    let running = true;
    const load = cluster.replicas.map(async (replica) => {
      while (running) {
        for (const { credential } of [good, revoked, later]) await clients.verify(replica, credential);
        await setTimeout(5);
      }
    });
    const revocation = clients.revoke(cluster.at(1), revoked);
    await cluster.redis.kill();
    const old = await cluster.promote();
    await move(cluster, cluster.replicas);
    await revocation;
    await revokedSoon(clients, cluster.at(2), later);
    await cluster.leased();
    running = false;
    await Promise.all(load);
    await revokedSoon(clients, cluster.at(1), revoked);
    await clients.warm([good, revoked, later]);
    if (clients.unanswered > 0) throw new Error('a Verify was left without an answer');
    await cluster.demote(old);
  },
};
