/** What the link does, before a real server. */

import { setTimeout } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { REDIS, type RedisServer, startRedis } from '../support/redis.ts';
import { type Link, link } from './link.ts';
import { until } from './processes.ts';

/** Milliseconds without an answer, after which none is expected: many times what the server needs. */
const SILENCE_MS = 300;
/** Milliseconds within which something happens that nothing is in the way of. */
const SOON_MS = 10_000;

describe.skipIf(REDIS === '')('a link', () => {
  let server: RedisServer;
  let network: Link;

  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server?.remove());
  beforeEach(async () => {
    await server.command('FLUSHALL');
    network = await link(server.port);
    onTestFinished(() => network.close());
  });

  test('carries commands and answers of any size, and tells of ends', async () => {
    const client = await connected();
    const large = 'x'.repeat(10_000_000);
    await client.set('a', large);
    expect(await client.get('a')).toBe(large);
    client.disconnect();
    await until('the server has only the connection that asks', SOON_MS, async () => {
      return (
        String(await server.command('CLIENT', 'LIST'))
          .trim()
          .split('\n').length === 1
      );
    });
  });

  test('once cut ends its connections and refuses new ones, until it is restored', async () => {
    const client = await connected();
    const ended = endOf(client);
    network.cut();
    await ended;
    await expect(dialled()).rejects.toThrow('ECONNREFUSED');
    expect(await server.command('PING')).toBe('PONG');
    await network.restore();
    expect(await (await connected()).ping()).toBe('PONG');
  });

  test('once cut forgets what was under way', async () => {
    const client = await connected();
    network.delay(SILENCE_MS);
    const lost = client.set('a', 'lost');
    network.cut();
    await expect(lost).rejects.toThrow('Connection is closed');
    await setTimeout(2 * SILENCE_MS);
    expect(await server.command('GET', 'a')).toBeNull();
  });

  test('once half open keeps its connections and takes new ones, and nothing arrives', async () => {
    const client = await connected();
    network.halfOpen();
    const later = await dialled();
    expect(await answered(client.set('a', 'swallowed'), later.set('b', 'swallowed'))).toBe(false);
    expect([client.status, later.status]).toEqual(['ready', 'ready']);
    expect(await server.command('DBSIZE')).toBe(0);
  });

  test('once half open tells no client that the server is gone, and no client sees it come back', async () => {
    const own = await startRedis();
    onTestFinished(() => own.remove());
    const network = await link(own.port);
    onTestFinished(() => network.close());
    const client = await connected(network);
    const ended = endOf(client);
    network.halfOpen();
    await own.kill();
    await own.start();
    await network.restore();
    expect(await (await connected(network)).ping()).toBe('PONG');
    expect(await answered(client.ping(), ended)).toBe(false);
  });

  test('once half open lets the server know when a client has gone', async () => {
    const client = await connected();
    const id = await client.client('ID');
    network.halfOpen();
    client.disconnect();
    await until('the server has lost it', SOON_MS, async () => {
      return !String(await server.command('CLIENT', 'LIST')).includes(`id=${id} `);
    });
  });

  test('once slow carries everything later, either way, and in order', async () => {
    const client = await connected();
    network.delay(SILENCE_MS);
    const start = performance.now();
    const first = client.rpush('list', 'first');
    // It is on its way when the second is sent.
    await setTimeout(SILENCE_MS / 3);
    await network.restore();
    await client.rpush('list', 'second');
    await first;
    expect(performance.now() - start).toBeGreaterThanOrEqual(SILENCE_MS);
    expect(await client.lrange('list', 0, -1)).toEqual(['first', 'second']);

    network.delay(SILENCE_MS);
    const again = performance.now();
    await client.ping();
    expect(performance.now() - again).toBeGreaterThanOrEqual(2 * SILENCE_MS);
    await network.restore();
    const fast = performance.now();
    await client.ping();
    expect(performance.now() - fast).toBeLessThan(SILENCE_MS);
  });

  test('before a server that is away ends what it accepts', async () => {
    const own = await startRedis();
    onTestFinished(() => own.remove());
    const network = await link(own.port);
    onTestFinished(() => network.close());
    await own.kill();
    const client = await dialled(network);
    await expect(client.ping()).rejects.toThrow('Connection is closed');
    await own.start();
    expect(await (await connected(network)).ping()).toBe('PONG');
  });

  test('once closed refuses connections', async () => {
    const client = await connected();
    const ended = endOf(client);
    network.close();
    await ended;
    await expect(dialled()).rejects.toThrow('ECONNREFUSED');
  });

  /** A client whose connection the link has accepted; ended after the test. */
  async function dialled({ port }: Link = network): Promise<Redis> {
    const client = new Redis({
      ...{ host: '127.0.0.1', port, lazyConnect: true, protocol: 2 },
      ...{ enableReadyCheck: false, disableClientInfo: true, retryStrategy: () => null },
    });
    const errors: Error[] = [];
    client.on('error', (error) => errors.push(error));
    onTestFinished(() => client.disconnect());
    await client.connect().catch((error) => {
      throw errors[0] ?? error;
    });
    return client;
  }

  /** One that the server has answered. */
  async function connected(to: Link = network): Promise<Redis> {
    const client = await dialled(to);
    await client.ping();
    return client;
  }
});

function endOf(client: Redis): Promise<unknown> {
  return new Promise((resolve) => client.once('end', resolve));
}

/** Whether any of these comes to an end while it is waited for. */
function answered(...calls: readonly Promise<unknown>[]): Promise<boolean> {
  const ends = calls.map((call) => call.then(() => true).catch(() => true));
  return Promise.race([...ends, setTimeout(SILENCE_MS, false)]);
}
