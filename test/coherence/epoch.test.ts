/** Lives of Redis's data that come back, and a Redis that refuses a part of what is asked of it. */

import { setTimeout } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Coherence, startCoherence } from '../../src/coherence/coherence.ts';
import type { Key } from '../../src/domain/key.ts';
import type { KeyStore } from '../../src/storage/key-store.ts';
import { openSqliteStore } from '../../src/storage/sqlite/open.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { changed, sampleKeyspace, storeKey, unique } from '../conformance/samples.ts';
import { link } from '../faults/link.ts';
import { REDIS, type RedisServer, startRedis } from '../support/redis.ts';

const SIZES = { secrets: 1_000_000, keys: 1_000_000, owners: 1_000_000 };

async function server(): Promise<RedisServer> {
  const redis = await startRedis();
  onTestFinished(() => redis.remove());
  return redis;
}

async function start(store: KeyStore, redisUrl: string, lines: string[] = []): Promise<Coherence> {
  const log = createLog({ level: 'warn', destination: { write: (line) => void lines.push(line) } });
  const settings = { mongodbUri: undefined, redisUrl };
  const coherence = await startCoherence(store, settings, SIZES, log, () => undefined);
  onTestFinished(() => coherence.stop());
  return coherence;
}

const isHeld = ({ replica }: Coherence) => expect.poll(() => replica?.held, { timeout: 8000 });

/** Two processes over one store, and a key that both have in memory. */
async function two(url: string, otherUrl = url) {
  const store = await openSqliteStore(':memory:');
  onTestFinished(() => store.close());
  const keyspace = unique('epochs');
  await store.insertKeyspace(sampleKeyspace({ id: keyspace }));
  const key = await storeKey(store, { keyspace, name: 'old' });
  const lines: string[] = [];
  const [one, other] = [await start(store, url), await start(store, otherUrl, lines)];
  for (const coherence of [one, other]) {
    await isHeld(coherence).toBe(true);
    await coherence.cached.listKeyspaces();
    await coherence.cached.getKey(key.id);
  }
  return { store, key, one, other, lines };
}

/** Changes the key on one of them. */
async function rename({ cached, spread }: Coherence, key: Key) {
  await cached.replaceKey(changed(key, { name: 'new' }));
  return spread.confirm([{ name: `key:${key.id}`, keyspace: key.keyspace, revision: 2 }]);
}

/** Reads for a while, longer than it takes to have a lease again. */
async function readsNew(coherences: readonly Coherence[], { id }: Key): Promise<void> {
  const end = performance.now() + 1500;
  while (performance.now() < end) {
    for (const { cached } of coherences) expect((await cached.getKey(id))?.name).toBe('new');
    await setTimeout(5);
  }
  for (const coherence of coherences) await isHeld(coherence).toBe(true);
  for (const { cached } of coherences) expect((await cached.getKey(id))?.name).toBe('new');
}

describe.skipIf(REDIS === '')('a life of Redis’s data', () => {
  test('that was left and comes back brings no copy of then with it', async () => {
    const redis = await server();
    const { one, other, key } = await two(redis.url());
    const epoch = one.replica?.epoch;
    await redis.command('SWAPDB', '0', '7');
    await expect.poll(() => one.replica?.held && one.replica.epoch !== epoch, { timeout: 8000 }).toBe(true);
    await isHeld(other).toBe(true);
    await rename(one, key);
    await redis.command('SWAPDB', '0', '7');
    await readsNew([one, other], key);
    expect(one.replica?.epoch).not.toBe(epoch);
    expect(one.replica?.epoch).toBe(other.replica?.epoch);
  });

  test('that was left and came back while a replica was cut off gives it no lease with what it knew then', async () => {
    const redis = await server();
    const proxy = await link(redis.port);
    onTestFinished(() => proxy.close());
    const url = (port: number) => `redis://127.0.0.1:${port}`;
    const { one, other, key } = await two(url(redis.port), url(proxy.port));
    const epoch = one.replica?.epoch;
    proxy.cut();
    await redis.command('SWAPDB', '0', '7');
    await expect.poll(() => one.replica?.held && one.replica.epoch !== epoch, { timeout: 8000 }).toBe(true);
    await rename(one, key);
    // Nobody else is there to begin another epoch.
    await one.stop();
    await redis.command('SWAPDB', '0', '7');
    await proxy.restore();
    await readsNew([other], key);
    expect(other.replica?.epoch).not.toBe(epoch);
  });

  test('that comes and goes between two syncs of a replica takes no change with it', async () => {
    const redis = await server();
    const { one, other, key } = await two(redis.url());
    // A moment for both to have synced, so that neither does before the data is back.
    await other.cached.getKey(key.id);
    await redis.command('SWAPDB', '0', '7');
    const confirmed = rename(one, key);
    await setTimeout(10);
    await redis.command('SWAPDB', '0', '7');
    await confirmed;
    await readsNew([one, other], key);
  });

  test('is named by the store, and one that it does not name gives no lease', async () => {
    const redis = await server();
    const { store, one, other } = await two(redis.url());
    const { epoch } = await store.readRegistry();
    expect([one.replica?.epoch, other.replica?.epoch]).toEqual([epoch, epoch]);
    await redis.command('FLUSHALL');
    await expect.poll(async () => (await store.readRegistry()).epoch, { timeout: 8000 }).not.toBe(epoch);
    for (const { replica } of [one, other]) {
      await expect
        .poll(async () => replica?.held && replica.epoch === (await store.readRegistry()).epoch, {
          timeout: 8000,
        })
        .toBe(true);
    }
  });
});

describe.skipIf(REDIS === '')('a Redis', () => {
  test('that does not let a replica into its database gives it no lease, so that it follows no other log', async () => {
    const redis = await server();
    const proxy = await link(redis.port);
    onTestFinished(() => proxy.close());
    const url = (port: number) => `redis://127.0.0.1:${port}/1`;
    const { one, other, key, lines } = await two(url(redis.port), url(proxy.port));
    await redis.command('ACL', 'SETUSER', 'default', '-select');
    proxy.cut();
    await proxy.restore();
    await expect.poll(() => lines.join(''), { timeout: 8000 }).toContain('NOPERM');
    await rename(one, key);
    await readsNewWithout(other, key);
    await redis.command('ACL', 'SETUSER', 'default', '+select');
    await isHeld(other).toBe(true);
  });

  test('that lets nobody publish hints confirms changes all the same', async () => {
    const redis = await server();
    const { one, other, key } = await two(redis.url());
    await redis.command('ACL', 'SETUSER', 'default', 'resetchannels');
    expect(await rename(one, key)).toMatchObject({ replicas: 2, acknowledged: 2 });
    expect((await other.cached.getKey(key.id))?.name).toBe('new');
  });

  test('that refuses what is asked of it is in the log', async () => {
    const redis = await server();
    const { other, lines } = await two(redis.url());
    await redis.command('ACL', 'SETUSER', 'default', '-evalsha');
    await expect.poll(() => lines.join(''), { timeout: 8000 }).toContain('NOPERM');
    await isHeld(other).toBe(false);
  });
});

async function readsNewWithout({ cached, replica }: Coherence, { id }: Key): Promise<void> {
  const end = performance.now() + 1500;
  while (performance.now() < end) {
    expect([(await cached.getKey(id))?.name, replica?.held]).toEqual(['new', false]);
    await setTimeout(5);
  }
}
