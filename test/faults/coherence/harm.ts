/** Faults by chance: at any time one of a replica, and one of a server that all share. */

import { setTimeout } from 'node:timers/promises';
import type { Cluster, Replica } from './cluster.ts';
import type { Choices } from './random.ts';

/** Milliseconds between two faults of a lane, and those that one lasts, at most. */
const PAUSE_MS = 2500;
const LASTS_MS = 3000;
/** What the store is away for at most: each Verify that it keeps waiting waits for its own deadline. */
const STORE_LASTS_MS = 1500;
/** Seconds that a clock is stepped by, either way, at most. */
const STEP_S = 3600;
const STARTS = 10;

/** Does a fault to a replica, and undoes it. @returns what it was. */
export async function harmReplica(cluster: Cluster, choices: Choices): Promise<string> {
  await setTimeout(choices.between(100, PAUSE_MS));
  const index = choices.between(0, cluster.replicas.length - 1);
  const replica = cluster.at(index);
  const fault = choices.weighted({
    pause: 4,
    cutRedis: 2,
    silentRedis: 2,
    slowRedis: 2,
    cutStore: 1,
    silentStore: 1,
    slowStore: 1,
    stepClock: cluster.hasClocks ? 2 : 0,
    // The first one lives throughout, so that its memory can be looked at.
    kill: index === 0 ? 0 : 2,
    end: index === 0 ? 0 : 1,
  });
  const lasts = choices.between(100, LASTS_MS);
  const slow = choices.between(10, 200);
  const seconds = choices.between(-STEP_S, STEP_S);
  if (fault === 'pause') replica.pause();
  else if (fault === 'cutRedis') replica.toRedis.cut();
  else if (fault === 'silentRedis') replica.toRedis.halfOpen();
  else if (fault === 'slowRedis') replica.toRedis.delay(slow);
  else if (fault === 'cutStore') replica.toStore.cut();
  else if (fault === 'silentStore') replica.toStore.halfOpen();
  else if (fault === 'slowStore') replica.toStore.delay(slow);
  else if (fault === 'stepClock') replica.clock.step(seconds);
  else if (fault === 'end') await replica.end();
  else await replica.kill();
  await setTimeout(lasts);
  if (fault === 'pause') replica.resume();
  else if (fault === 'kill' || fault === 'end') await startedAgain(replica);
  else if (fault === 'stepClock') replica.clock.step(0);
  else await (fault.endsWith('Redis') ? replica.toRedis : replica.toStore).restore();
  return `${fault} of ${replica.name} for ${lasts} ms`;
}

/** Does a fault to Redis or the store, and undoes it. @returns what it was. */
export async function harmServer(cluster: Cluster, choices: Choices): Promise<string> {
  await setTimeout(choices.between(100, 2 * PAUSE_MS));
  const { redis, store } = cluster;
  const fault = choices.weighted({
    flush: 3,
    empty: 2,
    pause: 2,
    kill: 2,
    pauseStore: 1,
    killStore: 1,
    stepClock: cluster.hasClocks ? 1 : 0,
  });
  const lasts = choices.between(50, fault.endsWith('Store') ? STORE_LASTS_MS : LASTS_MS);
  if (fault === 'flush') await redis.command('FLUSHALL');
  else if (fault === 'empty') await redis.restartEmpty();
  else if (fault === 'pause') redis.pause();
  else if (fault === 'kill') await redis.kill();
  else if (fault === 'stepClock') cluster.redisClock.step(choices.between(-STEP_S, STEP_S));
  else if (fault === 'pauseStore') cluster.pauseStore();
  else await store.kill();
  if (fault === 'flush' || fault === 'empty') return fault;
  await setTimeout(lasts);
  if (fault === 'pause') redis.resume();
  else if (fault === 'kill') await redis.start();
  else if (fault === 'stepClock') cluster.redisClock.step(0);
  else if (fault === 'pauseStore') cluster.resumeStore();
  else await store.start();
  return `${fault} for ${lasts} ms`;
}

/** The store may be away as well just then. */
export async function startedAgain(replica: Replica): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await replica.start();
    } catch (error) {
      if (tries === STARTS) throw error;
      await setTimeout(500);
    }
  }
}
