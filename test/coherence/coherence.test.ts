/** A process whose Redis cannot be asked when it starts: it may be that of the others, and may be another one. */

import { describe, expect, onTestFinished, test } from 'vitest';
import { type Coherence, startCoherence } from '../../src/coherence/coherence.ts';
import type { KeyStore } from '../../src/storage/key-store.ts';
import { openSqliteStore } from '../../src/storage/sqlite/open.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { REDIS, startRedis } from '../support/redis.ts';

const SIZES = { secrets: 1_000_000, keys: 1_000_000, owners: 1_000_000 };
const RECORDS = [{ name: 'key:1', keyspace: 'acx', revision: 2 }] as const;

async function server() {
  const redis = await startRedis();
  onTestFinished(() => redis.remove());
  return redis;
}

async function open(): Promise<KeyStore> {
  const store = await openSqliteStore(':memory:');
  onTestFinished(() => store.close());
  return store;
}

/** @param lines where it writes its log. */
async function start(store: KeyStore, redisUrl: string, lines: string[] = []): Promise<Coherence> {
  const log = createLog({ level: 'info', destination: { write: (line) => void lines.push(line) } });
  const coherence = await startCoherence(
    store,
    { mongodbUri: undefined, redisUrl },
    SIZES,
    log,
    () => undefined,
  );
  onTestFinished(() => coherence.stop());
  return coherence;
}

const isHeld = ({ replica }: Coherence) => expect.poll(() => replica?.held, { timeout: 8000 });

describe.skipIf(REDIS === '')('a start while Redis is away', () => {
  test('joins the others later, where it is theirs', async () => {
    const [store, redis] = [await open(), await server()];
    const first = await start(store, redis.url());
    await isHeld(first).toBe(true);
    await redis.kill();
    const second = await start(store, redis.url());
    expect(second.replica?.held).toBe(false);
    await redis.start();
    await isHeld(first).toBe(true);
    await isHeld(second).toBe(true);
    expect(await second.spread.confirm(RECORDS)).toMatchObject({ replicas: 2 });
  });

  test('joins nobody, begins nothing of its own and confirms nothing, where it is another one', async () => {
    const [store, redis, other] = [await open(), await server(), await server()];
    const first = await start(store, redis.url());
    await isHeld(first).toBe(true);
    await other.kill();
    const lines: string[] = [];
    const wrong = await start(store, other.url(), lines);
    await other.start();
    await expect
      .poll(() => lines.join(''), { timeout: 10_000 })
      .toContain('share another Redis, or none; restart this one');
    expect(wrong.replica?.held).toBe(false);
    expect(await other.command('KEYS', '*')).toEqual([]);
    await expect(wrong.spread.confirm(RECORDS)).rejects.toMatchObject({ reason: 'PROPAGATION_UNCONFIRMED' });
    await isHeld(first).toBe(true);
  });
});

describe.skipIf(REDIS === '')('what whoever runs it is told', () => {
  test('that Redis is away and back, each once; the lease that lapsed is counted while it is away', async () => {
    const [store, redis] = [await open(), await server()];
    const lines: string[] = [];
    const { replica } = await start(store, redis.url(), lines);
    if (replica === undefined) throw new Error('there is a Redis');
    const said = (text: string) => lines.filter((line) => line.includes(text)).length;
    await expect.poll(() => replica.replicas, { timeout: 8000 }).toBe(1);
    await redis.kill();
    await expect.poll(() => replica.counts.lapses.late, { timeout: 5000 }).toBe(1);
    expect(replica.replicas).toBe(0);
    await expect.poll(() => said('Redis is away or does not answer')).toBeGreaterThan(0);
    expect(said('Redis answers again')).toBe(0);
    await redis.start();
    await expect.poll(() => replica.held, { timeout: 8000 }).toBe(true);
    expect(said('Redis answers again')).toBe(1);
    expect(replica.counts.lapses.late).toBe(1);
    expect(said(`"replica":"${replica.id}"`)).toBe(1);
  });

  test('which replica has gone silent, and how many are left', async () => {
    const [store, redis] = [await open(), await server()];
    const lines: string[] = [];
    const { replica, spread } = await start(store, redis.url(), lines);
    await expect.poll(() => replica?.replicas, { timeout: 8000 }).toBe(1);
    const { domain } = await store.readRegistry();
    await redis.command('HSET', `gatehouse:{${domain}}:members`, 'silent', '0/1');
    expect(await spread.confirm(RECORDS)).toMatchObject({ replicas: 2, acknowledged: 1 });
    await expect.poll(() => replica?.counts.removed).toBe(1);
    expect(replica?.replicas).toBe(1);
    expect(lines.join('')).toMatch(/"replica":"silent".*has gone silent and was taken off/);
  });
});
