/** Those who ask, revoked while their streams and connections are open; and keys revoked while a stream is full of questions. */

import { setTimeout } from 'node:timers/promises';
import type { Clients, TestKey } from '../clients.ts';
import type { Cluster, Replica } from '../cluster.ts';
import { requireOk, requireReason, type Scenario, within } from '../scenario.ts';
import { WAYS } from '../ways.ts';

/** Milliseconds from an answer to the next question of the same asker. */
const PACE_MS = 20;
/** Milliseconds for which is asked on when a revocation has returned. */
const AFTER_MS = 300;
/** Milliseconds within which a question has an answer, and a revocation is confirmed, on a busy machine. */
const ANSWERED_MS = 5000;
const CONFIRMED_MS = 20_000;
/** Askers of one key on one stream. With more of them a busy machine answers so late that the change is heard of by then. */
const FLOOD = 16;
/** Milliseconds that everything between Redis and the slow replica is on its way. */
const SLOW_MS = 120;

/** Asks again and again while some work is done, and for a while after it. */
async function beside(asks: readonly (() => Promise<unknown>)[], work: () => Promise<void>): Promise<void> {
  let running = true;
  const asking = asks.map(async (ask) => {
    while (running) {
      await ask();
      await setTimeout(PACE_MS);
    }
  });
  try {
    await work();
    await setTimeout(AFTER_MS);
  } finally {
    running = false;
  }
  await Promise.all(asking);
}

/** What one caller asks these replicas about a key, by every way. */
function asksOf(
  clients: Clients,
  caller: TestKey,
  { credential }: TestKey,
  replicas: readonly Replica[],
): (() => Promise<unknown>)[] {
  return replicas.flatMap((replica) =>
    WAYS.map((way) => () => clients.verify(replica, credential, { way, caller })),
  );
}

/** Makes a caller, and has it ask every replica by every way: from now on it has streams and connections open. */
async function callerOf(cluster: Cluster, clients: Clients, about: TestKey): Promise<TestKey> {
  const caller = await clients.createCaller(cluster.at(0));
  for (const replica of cluster.replicas) {
    for (const way of WAYS) {
      const { answer, detail } = await clients.verify(replica, about.credential, { way, caller });
      if (answer !== 'valid') throw new Error(`${replica.name} answers a caller ${detail} (${way})`);
    }
  }
  return caller;
}

/** @throws Error where a replica does not refuse a caller for being who it is. That it is let in is noted as wrong besides. */
async function refusedEverywhere(
  cluster: Cluster,
  clients: Clients,
  caller: TestKey,
  about: TestKey,
): Promise<void> {
  for (const replica of cluster.replicas) {
    for (const way of WAYS) {
      await within(`${replica.name} refuses the caller (${way})`, ANSWERED_MS, async () => {
        const { detail } = await clients.verify(replica, about.credential, { way, caller });
        return detail === 'unauthenticated';
      });
    }
  }
}

/** @throws Error where a caller needed another stream than its first: then it was not this one that refused it. */
function requireOneStream(cluster: Cluster, replica: Replica, { credential }: TestKey): void {
  const opened = cluster.grpcCaller.streamsOpened(replica, credential.secret);
  if (opened > 1) throw new Error(`${opened} streams were opened to ${replica.name}`);
}

export const CALLER_UNHEARD: Scenario = {
  name: 'a caller revoked elsewhere is answered no more, on no stream that it has open, by a replica that was stopped or cut off either',
  async run(cluster, clients) {
    const [acting, away, quiet] = [cluster.at(0), cluster.at(1), cluster.at(2)];
    const key = await clients.create(acting);
    await clients.warm([key]);
    for (const fault of ['halfOpen', 'cut', 'pause'] as const) {
      const caller = await callerOf(cluster, clients, key);
      const asks = asksOf(clients, caller, key, [acting, away]);
      await beside(asks, async () => {
        if (fault === 'pause') away.pause();
        else away.toRedis[fault]();
        requireOk(await clients.revoke(acting, caller));
        const queued = asks.map((ask) => ask());
        await setTimeout(50);
        if (fault === 'pause') away.resume();
        await Promise.all(queued);
        await refusedEverywhere(cluster, clients, caller, key);
      });
      // Nothing was asked there between the caller's first questions and its revocation.
      requireOneStream(cluster, quiet, caller);
      await away.toRedis.restore();
      await cluster.leased();
      await refusedEverywhere(cluster, clients, caller, key);
    }
  },
};

export const CALLER_STOPPED: Scenario = {
  name: 'a caller revoked while a replica is stopped has nothing answered there that it asks after that on its open stream',
  async run(cluster, clients) {
    const [acting, stopped] = [cluster.at(0), cluster.at(1)];
    const key = await clients.create(acting);
    await clients.warm([key]);
    const caller = await callerOf(cluster, clients, key);
    stopped.pause();
    requireOk(await clients.revoke(acting, caller));
    const queued = asksOf(clients, caller, key, [stopped]).map((ask) => ask());
    await setTimeout(50);
    stopped.resume();
    await Promise.all(queued);
    requireOneStream(cluster, stopped, caller);
    await refusedEverywhere(cluster, clients, caller, key);
  },
};

export const CALLER_WITHOUT_REDIS: Scenario = {
  name: 'a caller revoked while Redis is away, or right after it is back, is answered no more, on its open streams neither',
  async run(cluster, clients) {
    const [acting, other] = [cluster.at(0), cluster.at(1)];
    const key = await clients.create(acting);
    await clients.warm([key]);
    for (const how of ['kill', 'pause'] as const) {
      const [during, after] = [await callerOf(cluster, clients, key), await callerOf(cluster, clients, key)];
      await beside(asksOf(clients, after, key, [acting, other]), async () => {
        await cluster.redis[how]();
        requireReason(await clients.revoke(acting, during), 'PROPAGATION_UNCONFIRMED');
        // By now no replica has a lease, so that what is stored is what is answered.
        for (const withdrawal of during.credential.withdrawals) withdrawal.confirmed = performance.now();
        await refusedEverywhere(cluster, clients, during, key);
        for (const replica of cluster.replicas) requireOneStream(cluster, replica, during);
        if (how === 'kill') await cluster.redis.start();
        else cluster.redis.resume();
        await within('a revocation is confirmed', CONFIRMED_MS, async () => {
          const answer = await clients.revoke(other, after);
          if (answer.reason !== 'PROPAGATION_UNCONFIRMED') requireOk(answer);
          return answer.code === 'ok';
        });
        await refusedEverywhere(cluster, clients, after, key);
      });
      await cluster.leased();
      for (const caller of [during, after]) await refusedEverywhere(cluster, clients, caller, key);
    }
  },
};

export const KEY_MID_STREAM: Scenario = {
  name: 'no question is answered with VALID that was sent on a stream, full of others, after its key was taken away elsewhere',
  async run(cluster, clients) {
    const [acting, slow] = [cluster.at(0), cluster.at(1)];
    // A replica that hears late shows whether it is waited for; one that hears at once, whether it forgets at once.
    const rounds = [
      { how: 'revoke', isSlow: true },
      { how: 'rotate', isSlow: false },
      { how: 'disable', isSlow: true },
      { how: 'revoke', isSlow: false },
    ] as const;
    for (const { how, isSlow } of rounds) {
      if (isSlow) slow.toRedis.delay(SLOW_MS);
      const key = await clients.create(acting);
      const { credential } = key;
      await clients.warm([key]);
      let confirmed = Number.POSITIVE_INFINITY;
      const refused = new Map<Replica, number>();
      const asks = cluster.replicas.flatMap((replica) =>
        Array.from({ length: FLOOD }, () => async () => {
          const { start, answer } = await clients.verify(replica, credential, { way: 'stream' });
          if (start < confirmed || answer !== 'invalid') return;
          refused.set(replica, (refused.get(replica) ?? 0) + 1);
        }),
      );
      await beside(asks, async () => {
        await setTimeout(AFTER_MS);
        confirmed = requireOk(await clients[how](acting, key)).end;
      });
      for (const replica of cluster.replicas) {
        const count = refused.get(replica) ?? 0;
        if (count < FLOOD) throw new Error(`${replica.name} refused only ${count} questions`);
      }
      await slow.toRedis.restore();
    }
  },
};
