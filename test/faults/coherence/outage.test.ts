/** What an outage of Redis or of the store costs those who ask for known keys, and how soon it is over. */

import { setTimeout } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { LONG } from '../../support/long.ts';
import { MONGOD } from '../../support/mongodb.ts';
import { REDIS } from '../../support/redis.ts';
import { figures } from '../processes.ts';
import { Clients, type TestKey } from './clients.ts';
import { Cluster, type Replica } from './cluster.ts';
import { within } from './scenario.ts';

const QUESTIONS = LONG ? 1000 : 200;
/** Milliseconds after which a breaker in front of Redis is open. */
const OPENED_MS = 1000;
/** Milliseconds within which all is as before when Redis is back. */
const BACK_MS = 5000;
/** Milliseconds within which an unknown key is told that it cannot be looked up. */
const UNKNOWN_MS = 700;
/** What a busy machine adds to each. */
const SLACK_MS = LONG ? 0 : 2000;

/** Milliseconds that answers took, one after the other. @throws Error where one is missing. */
async function took(clients: Clients, replica: Replica, { credential }: TestKey): Promise<number[]> {
  const times: number[] = [];
  for (let asked = 0; asked < QUESTIONS; asked++) {
    const { start, end, answer } = await clients.verify(replica, credential);
    if (answer !== 'valid') throw new Error(`a known key was answered ${answer}`);
    times.push(end - start);
  }
  return times.sort((one, other) => one - other);
}

const p99 = (times: readonly number[]) => times[Math.ceil(0.99 * times.length) - 1] ?? Number.NaN;

describe.skipIf(MONGOD === '' || REDIS === '')('an outage', () => {
  test('of Redis leaves known keys without an error, soon adds little, and is over soon after it', async () => {
    const cluster = await Cluster.start({ replicas: 2 });
    onTestFinished(() => cluster.remove());
    const clients = new Clients(cluster);
    const [asked] = cluster.replicas;
    if (asked === undefined) throw new Error('there is no replica');
    const key = await clients.create(asked);
    await clients.warm([key]);
    const healthy = p99(await took(clients, asked, key));
    for (const how of ['kill', 'pause'] as const) {
      await cluster.redis[how]();
      const during = setTimeout(OPENED_MS);
      await took(clients, asked, key);
      await during;
      const added = p99(await took(clients, asked, key)) - healthy;
      if (how === 'kill') await cluster.redis.start();
      else cluster.redis.resume();
      const back = await within('leases are back', BACK_MS + SLACK_MS, () => asked.leased());
      figures(`Redis, ${how}`, { addedP99Ms: added, backMs: back });
      expect(added).toBeLessThan(50 + SLACK_MS);
    }
    expect(clients.violations).toEqual([]);
  }, 60_000);

  test('of the store leaves known keys without an error, and tells of others soon', async () => {
    const cluster = await Cluster.start({ replicas: 2, storeMs: 500 });
    onTestFinished(() => cluster.remove());
    const clients = new Clients(cluster);
    const [asked] = cluster.replicas;
    if (asked === undefined) throw new Error('there is no replica');
    const [known, unknown] = [await clients.create(asked), await clients.create(asked)];
    await clients.warm([known]);
    for (const how of ['stopped', 'killed'] as const) {
      if (how === 'stopped') cluster.pauseStore();
      else await cluster.store.kill();
      await took(clients, asked, known);
      const { start, end, detail } = await clients.verify(asked, unknown.credential);
      figures(`the store, ${how}`, { unknownMs: end - start });
      expect(detail).toBe('unavailable');
      expect(end - start).toBeLessThan(UNKNOWN_MS + SLACK_MS);
      cluster.resumeStore();
    }
  }, 60_000);
});
