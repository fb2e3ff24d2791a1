/** The connections to a Redis that breaks, restarts and changes its part. */

import { connect, createServer, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { RedisLink } from '../../../src/storage/redis/link.ts';
import { REDIS, type RedisServer, startRedis } from '../../support/redis.ts';

/** A way to the server on which a connection breaks as soon as the client says a word. Counts its connections. */
async function breaking(port: number, says: () => RegExp | undefined) {
  const sockets = new Set<Socket>();
  const counts = { connections: 0, breaks: 0 };
  const listener = createServer((client) => {
    counts.connections++;
    const server = connect(port, '127.0.0.1');
    for (const one of [client, server]) {
      sockets.add(one);
      one.on('error', () => {});
    }
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
    server.pipe(client);
    client.on('data', (data) => {
      if (says()?.test(data.toString()) !== true) return void server.write(data);
      counts.breaks++;
      client.destroy();
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  const address = listener.address();
  return {
    counts,
    url: `redis://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`,
    cut() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

describe.skipIf(REDIS === '')('the link to Redis', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis?.remove());

  async function linked(url: string): Promise<RedisLink> {
    const link = new RedisLink(url, 'tests', () => {});
    onTestFinished(() => link.close());
    await expect.poll(() => link.ready).toBe(true);
    return link;
  }

  // A rejection that nobody awaits would end the process, and fails this run.
  test('survives connections that break while it listens anew, and hears again afterwards', async () => {
    let words: RegExp | undefined;
    const way = await breaking(redis.port, () => words);
    const link = await linked(way.url);
    let hints = 0;
    link.onHint(() => hints++);
    const announce = () => link.announce([{ record: 'key:1', keyspace: 'acx', revision: 1 }], 0, 'nonce');
    const hear = async () => {
      await announce().catch(() => undefined);
      return hints;
    };
    await expect.poll(hear).toBeGreaterThan(0);
    words = /subscribe/i;
    way.cut();
    await expect.poll(() => way.counts.breaks, { timeout: 5000 }).toBeGreaterThan(2);
    words = undefined;
    hints = 0;
    await expect.poll(hear, { timeout: 5000 }).toBeGreaterThan(0);
  });

  test('leaves a server that is a master no more, asks a few times a second, and is back when it is one', async () => {
    const other = await startRedis(REDIS, { replicaOf: redis });
    onTestFinished(() => other.remove());
    await other.command('REPLICAOF', 'NO', 'ONE');
    const way = await breaking(other.port, () => undefined);
    const link = await linked(way.url);
    const sync = () => link.sync({ id: 'me', epoch: '', applied: 0, syncs: 1 }, 'nonce');
    await sync();
    await other.command('REPLICAOF', '127.0.0.1', redis.port);
    await sync().catch(() => undefined);
    await expect.poll(() => link.ready).toBe(false);
    // To be led elsewhere, as by a name that now stands for the new master.
    const before = way.counts.connections;
    await setTimeout(2000);
    expect(way.counts.connections - before).toBeGreaterThan(1);
    expect(way.counts.connections - before).toBeLessThan(8);
    await other.command('REPLICAOF', 'NO', 'ONE');
    await expect.poll(() => link.ready, { timeout: 5000 }).toBe(true);
    await sync();
  });
});
