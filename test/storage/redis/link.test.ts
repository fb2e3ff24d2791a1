/** The connections to a Redis that breaks, restarts and changes its part. */

import { connect, createServer, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { RedisLink, RedisUnusable } from '../../../src/storage/redis/link.ts';
import { failingStart } from '../../support/failing-start.ts';
import { REDIS, REDIS_OLDEST, type RedisServer, startRedis } from '../../support/redis.ts';

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

  test('says what rediss:// to a port without TLS may be', async () => {
    const errors: unknown[] = [];
    const link = new RedisLink(`rediss://127.0.0.1:${redis.port}`, 'tests', (error) => errors.push(error));
    onTestFinished(() => link.close());
    await expect
      .poll(() => String(errors), { timeout: 5000 })
      .toContain('rediss:// leads to a port without TLS');
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

describe.each([
  ['Redis', REDIS],
  ['Redis 6.2', REDIS_OLDEST],
])('a %s that answers, and refuses', (_name, program) => {
  const NEEDED = [
    '+@all',
    '-@dangerous',
    '+info',
    '+config|get',
    '~gatehouse:*',
    'resetchannels',
    '&gatehouse:*',
  ];
  const PASSWORD = 'hunter2';
  let redis: RedisServer;
  beforeAll(async () => {
    if (program === '') return;
    redis = await startRedis(program);
    const user = (name: string, ...rules: string[]) =>
      redis.command('ACL', 'SETUSER', name, 'on', `>${PASSWORD}`, ...rules);
    await user('good', ...NEEDED);
    await user('uninformed', ...NEEDED, '-info');
    await user('unheard', ...NEEDED, 'resetchannels');
    await user('keyless', '+@all', '&*');
    await user('unwritten', ...NEEDED, '-hset');
  });
  afterAll(() => redis?.remove());

  const url = (user: string, password = PASSWORD, database = 0) =>
    `redis://${user}:${password}@127.0.0.1:${redis.port}/${database}`;

  test.skipIf(program === '').each([
    ['the user', () => url('nobody'), /refuses the user or the password given there \(WRONGPASS\)/],
    ['the password', () => url('good', 'hunter2-as-it-was'), /\(WRONGPASS\)/],
    ['a command of its own check', () => url('uninformed'), /the command "info" \(NOPERM\)/],
    ['keys', () => url('keyless'), /\(NOPERM\)/],
    ['a command inside a script', () => url('unwritten'), /\(NOPERM\)/],
    ['channels', () => url('unheard'), /\(NOPERM\)/],
    ['the number of the database', () => url('good', PASSWORD, 99), /a database by a number/],
  ])('%s: the start says so in one line and ends', (_what, place, says) => {
    const { code, lines, stdout } = failingStart({ REDIS_URL: place(), GATEHOUSE_LOG_LEVEL: 'fatal' });
    expect(lines).toEqual([expect.stringMatching(says)]);
    expect(code).toBe(1);
    expect(lines[0]).toMatch(/^gatehouse: REDIS_URL /);
    expect(lines.join() + stdout).not.toContain('hunter2');
  });

  test.skipIf(program === '')('no user where there has to be one', async () => {
    const closed = await startRedis(program);
    onTestFinished(() => closed.remove());
    await closed.command('ACL', 'SETUSER', 'default', 'off');
    const { code, lines } = failingStart({ REDIS_URL: closed.url(), GATEHOUSE_LOG_LEVEL: 'fatal' });
    expect(lines).toEqual([expect.stringMatching(/\((NOAUTH|WRONGPASS)\)/)]);
    expect(code).toBe(1);
  });

  test.skipIf(program === '')(
    'what it took before: it is told again and again, and forgotten when it is mended',
    async () => {
      const errors: unknown[] = [];
      const link = new RedisLink(url('good'), 'tests', (error) => errors.push(error));
      onTestFinished(() => link.close());
      await expect.poll(() => link.ready).toBe(true);
      await redis.command('ACL', 'SETUSER', 'good', 'resetpass', '>another');
      await redis.command('CLIENT', 'KILL', 'USER', 'good');
      await expect.poll(() => errors.filter((one) => one instanceof RedisUnusable).length).toBeGreaterThan(2);
      expect(String(errors)).not.toContain(PASSWORD);
      await redis.command('ACL', 'SETUSER', 'good', `>${PASSWORD}`);
      await expect.poll(() => link.ready, { timeout: 5000 }).toBe(true);
    },
  );
});
