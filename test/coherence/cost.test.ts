/** What a Verify costs the servers behind it, counted there, and how long a revocation takes over three replicas. */

import { randomUUID } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { figures } from '../faults/processes.ts';
import { type Command, type MongoProxy, startProxy } from '../faults/proxy.ts';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';
import { LONG } from '../support/long.ts';
import { MONGOD, type MongoServer, startMongo } from '../support/mongodb.ts';
import { REDIS, type RedisServer, startRedis, withRedis } from '../support/redis.ts';

const REPLICAS = 3;
const VERIFIES = 1000;
/** Each is accepted by all three before, and by none afterwards. */
const REVOCATIONS = LONG ? 400 : 100;
/** Each is made on one replica and verified at once on another. */
const CREATIONS = LONG ? 10_000 : 300;
/** Creations that are under way at one time. */
const AT_ONCE = 4;
/** Milliseconds for one of them on a busy machine: eight calls, of which two write. */
const REVOCATION_MS = 600;
/** ... and two calls, of which one writes. */
const CREATION_MS = 200;
/** Keys that are looked for in all that Redis has, at most: all of it is searched for each. */
const LOOKED_FOR = 500;

/** What a Verify reads where nothing is in memory. What looks for unfinished work looks for no id. */
function isReadOfRecord({ find, filter }: Command): boolean {
  return ['secrets', 'keys', 'owners'].includes(String(find)) && Object.hasOwn(filter as object, '_id');
}

describe.skipIf(REDIS === '' || MONGOD === '')('three replicas over one MongoDB and one Redis', () => {
  let redis: RedisServer;
  let mongo: MongoServer;
  let proxy: MongoProxy;
  let replicas: readonly Gatehouse[];
  /** Commands that reached MongoDB. */
  const commands: Command[] = [];

  beforeAll(async () => {
    [redis, mongo] = await Promise.all([startRedis(), startMongo()]);
    proxy = await startProxy(mongo);
    proxy.hold((command) => {
      commands.push(command);
      return false;
    });
    const uri = `${proxy.uri(`cost-${randomUUID()}`)}&timeoutMS=5000`;
    const start = () =>
      startGatehouse({
        folder: mkdtempSync(join(tmpdir(), 'gatehouse-test-')),
        env: { MONGODB_URI: uri, REDIS_URL: redis.url(), GATEHOUSE_LOG_LEVEL: 'warn' },
      });
    const first = await start();
    replicas = [first, ...(await Promise.all(Array.from({ length: REPLICAS - 1 }, start)))];
  });
  afterAll(async () => {
    for (const one of replicas ?? []) await one.remove();
    await proxy?.close();
    await mongo?.remove();
    await redis?.remove();
  });

  const call = (replica: Gatehouse | undefined, method: string, body: object) => {
    if (replica === undefined) throw new Error('there are three');
    return callJson(replica, method, body, { key: replica.rootKey });
  };
  const secrets: string[] = [];
  const make = async (replica = replicas[0]) => {
    const { body } = await call(replica, 'KeyService/CreateKey', { keyspace: 'default', name: 'a' });
    secrets.push(body.secret);
    return body;
  };

  /** How often Redis was asked for a record. What follows the log asks for none. */
  async function asked(): Promise<number> {
    const stats = String(await redis.command('INFO', 'commandstats'));
    return Number(/cmdstat_get:calls=(\d+)/.exec(stats)?.[1] ?? 0);
  }

  test('a cached Verify asks neither Redis nor MongoDB, and writes nothing', async () => {
    const { secret } = await make();
    for (const replica of replicas) await call(replica, 'AuthService/Verify', { token: secret });
    const [before, begun] = [await asked(), performance.now()];
    commands.length = 0;
    for (let done = 0; done < VERIFIES; done++) {
      const { body } = await call(replicas[done % REPLICAS], 'AuthService/Verify', { token: secret });
      expect(body.valid).toBe(true);
    }
    expect(await asked()).toBe(before);
    expect(commands.filter(isReadOfRecord)).toEqual([]);
    // Twice a second each replica records what it has counted, in two commands at most.
    const seconds = (performance.now() - begun) / 1000;
    const writes = commands.filter((command) => 'update' in command || 'insert' in command);
    expect(writes.filter((command) => command.update !== 'usage')).toEqual([]);
    expect(writes.length).toBeLessThanOrEqual(REPLICAS * 4 * (seconds + 1));
    expect(commands.filter(({ find }) => find === 'keyspaces').length).toBeLessThanOrEqual(
      2 * REPLICAS * (seconds + 1),
    );
  });

  test(
    'a key made on one is accepted at once by another',
    async () => {
      let next = 0;
      let wrong = 0;
      const clients = Array.from({ length: AT_ONCE }, async () => {
        for (let number = next++; number < CREATIONS; number = next++) {
          const { secret } = await make(replicas[number % REPLICAS]);
          const other = replicas[(number + 1 + (number % (REPLICAS - 1))) % REPLICAS];
          const { body } = await call(other, 'AuthService/Verify', { token: secret });
          if (body.valid !== true) wrong++;
        }
      });
      await Promise.all(clients);
      figures('keys made on one replica and verified at once on another', { keys: CREATIONS, wrong });
      expect(wrong).toBe(0);
    },
    CREATIONS * CREATION_MS,
  );

  test(
    'a revocation is confirmed by all three, and none accepts the key afterwards',
    async () => {
      const times: number[] = [];
      for (let done = 0; done < REVOCATIONS; done++) {
        const { key, secret } = await make();
        for (const replica of replicas) {
          expect((await call(replica, 'AuthService/Verify', { token: secret })).body.valid).toBe(true);
        }
        const begun = performance.now();
        const { body } = await call(replicas[done % REPLICAS], 'KeyService/RevokeKey', { id: key.id });
        times.push(performance.now() - begun);
        expect(body.propagation).toMatchObject({ replicas: REPLICAS, acknowledged: REPLICAS });
        for (const replica of replicas) {
          const { status } = (await call(replica, 'AuthService/Verify', { token: secret })).body;
          expect(status).toBe('VERIFY_STATUS_REVOKED');
        }
      }
      times.sort((one, other) => one - other);
      figures('revocation over three replicas, ms', {
        p50: times[Math.floor(0.5 * REVOCATIONS)],
        p99: times[Math.floor(0.99 * REVOCATIONS)],
      });
    },
    REVOCATIONS * REVOCATION_MS,
  );

  test('no key is found in Redis, neither whole nor its secret part', async () => {
    const [names, kinds, values] = await withRedis(redis.url(), async (client) => {
      const names = await client.keys('*');
      const kinds = await Promise.all(names.map((name) => client.type(name)));
      const values = await Promise.all(
        names.map((name, index) => {
          if (kinds[index] === 'hash') return client.hgetall(name);
          if (kinds[index] === 'stream') return client.xrange(name, '-', '+');
          return client.get(name);
        }),
      );
      return [names, kinds, values] as const;
    });
    const all = JSON.stringify([names, values]);
    // Some end between the two questions.
    expect(new Set(kinds.filter((kind) => kind !== 'none'))).toEqual(new Set(['hash', 'stream', 'string']));
    expect(secrets.length).toBeGreaterThan(CREATIONS + REVOCATIONS);
    const some = secrets.filter((_, index) => index % Math.ceil(secrets.length / LOOKED_FOR) === 0);
    for (const secret of [...some, ...replicas.map(({ rootKey }) => rootKey)]) {
      expect(all).not.toContain(secret.slice(secret.indexOf('_') + 9));
    }
  });
});
