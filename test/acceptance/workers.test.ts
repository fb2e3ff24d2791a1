/** Several processes behind the same two ports: `GATEHOUSE_WORKERS`. */

import { randomUUID } from 'node:crypto';
import http from 'node:http';
import http2 from 'node:http2';
import { setTimeout as after } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { until } from '../faults/processes.ts';
import { failingStart } from '../support/failing-start.ts';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';
import { dropDatabase, inDatabase } from '../support/mongodb.ts';
import { REDIS, type RedisServer, startRedis } from '../support/redis.ts';

const WORKERS = 3;
const PATIENCE_MS = 20_000;

describe.skipIf(inject('mongodb') === '' || REDIS === '')(`${WORKERS} workers`, () => {
  let redis: RedisServer;
  const ends: (() => unknown)[] = [];
  const endAll = async () => {
    for (const end of ends.splice(0).reverse()) await end();
  };

  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis?.remove());

  function emptyDatabase(): string {
    const uri = inDatabase(inject('mongodb'), `workers-${randomUUID()}`);
    ends.push(
      () => dropDatabase(uri),
      () => redis.command('FLUSHALL'),
    );
    return uri;
  }

  /** Resolves when all of them listen. */
  async function start(env: Readonly<Record<string, string>> = {}): Promise<Gatehouse> {
    const settings = { MONGODB_URI: emptyDatabase(), REDIS_URL: redis.url(), GATEHOUSE_LOG_VERIFY: 'none' };
    const gatehouse = await startGatehouse({
      env: { ...settings, GATEHOUSE_WORKERS: String(WORKERS), ...env },
    });
    ends.push(() => gatehouse.remove());
    await until('all workers listen', PATIENCE_MS, () => started(gatehouse).length >= WORKERS);
    return gatehouse;
  }

  describe('while they run', () => {
    let gatehouse: Gatehouse;
    beforeAll(async () => {
      gatehouse = await start();
    });
    afterAll(endAll);

    test('are all on the page of metrics, whichever answers', async () => {
      for (let index = 0; index < 7; index++) await listKeysOverHttp(gatehouse, gatehouse.rootKey);
      const pages = await Promise.all(
        Array.from({ length: 5 }, () => counted(gatehouse, 'gatehouse_rpc_requests_total')),
      );
      for (const page of pages) {
        const values = page.filter((call) => call.labels.method === 'ListKeys').map((call) => call.value);
        expect(values.reduce((sum, value) => sum + value, 0)).toBe(7);
      }
      for (const metric of ['gatehouse_lease_held', 'gatehouse_replicas', 'process_start_time_seconds']) {
        const workers = (await counted(gatehouse, metric)).map((one) => one.labels.worker);
        expect([metric, workers.sort()]).toEqual([metric, ['1', '2', '3']]);
      }
    });

    test('are replicas: what one was told to revoke, none accepts from then on', async () => {
      const key = gatehouse.rootKey;
      for (let round = 0; round < 5; round++) {
        const made = await callJson(
          gatehouse,
          'KeyService/CreateKey',
          { keyspace: 'default', name: 'x' },
          { key },
        );
        const verify = () =>
          overConnectionOfItsOwn(gatehouse, 'AuthService/Verify', { token: made.body.secret });
        const before = await Promise.all(Array.from({ length: 2 * WORKERS }, verify));
        expect(new Set(before)).toEqual(new Set(['VERIFY_STATUS_VALID']));
        const revoked = await callJson(gatehouse, 'KeyService/RevokeKey', { id: made.body.key.id }, { key });
        expect(revoked.status).toBe(200);
        expect(revoked.body.propagation.replicas).toBe(WORKERS);
        const since = await Promise.all(Array.from({ length: 2 * WORKERS }, verify));
        expect(new Set(since)).toEqual(new Set(['VERIFY_STATUS_REVOKED']));
      }
    });

    test('are replaced when they die, also the one that was first; calls on the connections of others go on', async () => {
      for (const killed of [1, 2]) {
        // Connections are handed to the workers in turn.
        const agents = Array.from(
          { length: WORKERS },
          () => new http.Agent({ keepAlive: true, maxSockets: 1 }),
        );
        for (const agent of agents) expect(await connectionOf(gatehouse, agent)).toBe('new');
        const before = started(gatehouse);
        const pid = before.findLast(({ worker }) => worker === killed)?.pid ?? 0;
        process.kill(pid, 'SIGKILL');
        const outcomes = agents.map((): string[] => []);
        await until(`worker ${killed} is replaced`, PATIENCE_MS, async () => {
          for (const [index, agent] of agents.entries()) {
            outcomes[index]?.push(await connectionOf(gatehouse, agent).catch(() => 'lost'));
          }
          return started(gatehouse).length > before.length;
        });
        for (const agent of agents) agent.destroy();
        // One client has lost its connection, or found it closed, and is served over a new one.
        const different = outcomes
          .map((all) => all.filter((one) => one !== 'same'))
          .filter((all) => all.length > 0);
        expect(different).toHaveLength(1);
        expect([['new'], ['lost', 'new']]).toContainEqual(different[0]);
        const now = started(gatehouse).at(-1);
        expect(now?.worker).toBe(killed);
        expect(now?.pid).not.toBe(pid);
      }
      expect(gatehouse.output().stderr.match(/Gatehouse \d/g)).toHaveLength(1);
      const starts = await counted(gatehouse, 'process_start_time_seconds');
      expect(starts.map(({ labels }) => labels.worker).sort()).toEqual(['1', '2', '3']);
    });

    test.skipIf(process.platform === 'win32')(
      'that die before they took a connection do not leave its client waiting',
      async () => {
        const before = started(gatehouse);
        const pid = before.find((one) => isAlive(one.pid))?.pid ?? 0;
        process.kill(pid, 'SIGSTOP');
        const all = Array.from({ length: WORKERS }, () => statusOnce(gatehouse));
        // The others have answered theirs by then.
        await until(
          'all but one are answered',
          PATIENCE_MS,
          async () => (await settled(all)) === WORKERS - 1,
        );
        process.kill(pid, 'SIGKILL');
        const outcomes = await Promise.allSettled(all);
        expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(1);
        await until('it is replaced', PATIENCE_MS, () => started(gatehouse).length > before.length);
      },
    );

    test('take a signal to all processes for one: none ends for itself, and the stop is no second one', async () => {
      const workers = started(gatehouse).filter(({ pid }) => isAlive(pid));
      expect(workers).toHaveLength(WORKERS);
      // As a terminal and a process manager do; here the workers are before the primary.
      for (const { pid } of workers) process.kill(pid, 'SIGINT');
      await after(200);
      expect(workers.filter(({ pid }) => isAlive(pid))).toEqual(workers);
      const stopped = gatehouse.stop('SIGINT');
      for (const { pid } of workers) process.kill(pid, 'SIGINT');
      expect(await stopped).toBe(0);
    });
  });

  describe('at their start and their end', () => {
    afterEach(endAll);

    test('answer on the same two ports, after one greeting with the one root key that was made', async () => {
      const gatehouse = await start({ GATEHOUSE_ROOT_KEY: '' });
      const { stderr } = gatehouse.output();
      expect(stderr.match(/Gatehouse \d/g)).toHaveLength(1);
      expect(stderr).toContain(`Workers ${WORKERS}`);
      const roots = stderr.match(/export GATEHOUSE_KEY=ghm_\S+/g) ?? [];
      expect(roots).toHaveLength(1);
      const key = roots[0]?.replace(/.*=/, '');

      // Connections are handed to the workers in turn.
      for (let index = 0; index < 2 * WORKERS; index++) {
        expect(await listKeysOverHttp(gatehouse, key)).toBe(200);
        expect(await healthOverGrpc(gatehouse)).toBe(200);
      }
      const calls = await counted(gatehouse, 'gatehouse_rpc_requests_total');
      for (const method of ['ListKeys', 'Check']) {
        const workers = calls
          .filter((call) => call.labels.method === method)
          .map((call) => call.labels.worker);
        expect([method, workers.sort()]).toEqual([method, ['1', '2', '3']]);
      }
    });

    test('end at SIGTERM with an answer to every call on a connection that they have', async () => {
      const gatehouse = await start();
      const begun: Promise<void>[] = [];
      const clients = Array.from({ length: 24 }, () => {
        const { promise, resolve } = Promise.withResolvers<void>();
        begun.push(promise);
        return callUntilToldToGo(gatehouse, resolve);
      });
      const grpc = Array.from({ length: 6 }, () => checkUntilToldToGo(gatehouse));
      await Promise.all(begun);
      await after(200);
      expect(await gatehouse.stop()).toBe(0);
      expect(new Set(await Promise.all(clients))).toEqual(new Set(['close']));
      for (const { answered, failed } of await Promise.all(grpc)) {
        expect(failed).toEqual([]);
        expect(answered).toBeGreaterThan(0);
      }
      const { stdout } = gatehouse.output();
      const stopped = stdout.split('\n').filter((line) => line.includes('"msg":"stopped"'));
      expect(stopped.map((line) => JSON.parse(line).worker).sort()).toEqual([1, 2, 3]);
    });

    test('end with a primary that was killed', async () => {
      const gatehouse = await start();
      await gatehouse.stop('SIGKILL');
      await until(
        'no worker is left',
        PATIENCE_MS,
        () => !started(gatehouse).some(({ pid }) => isAlive(pid)),
      );
    });

    test('of which the first cannot start end with its one line and its exit code', () => {
      const { code, lines } = failingStart({
        MONGODB_URI: emptyDatabase(),
        REDIS_URL: redis.url(),
        GATEHOUSE_WORKERS: String(WORKERS),
        GATEHOUSE_HOST: 'nowhere.invalid',
      });
      expect([code, lines]).toEqual([1, [expect.stringContaining('GATEHOUSE_HOST')]]);
    });
  });
});

interface Started {
  readonly worker: number;
  readonly pid: number;
}

/** The workers that said that they listen, replaced ones too, in that order. */
function started(gatehouse: Gatehouse): Started[] {
  const lines = gatehouse.output().stdout.split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line)).filter((line) => line.msg === 'a worker listens');
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

interface Value {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

async function counted({ http }: Gatehouse, metric: string): Promise<Value[]> {
  const page = await (await fetch(`${http}/metrics`)).text();
  const lines = page.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm);
  return [...lines]
    .filter(([, name]) => name === metric)
    .map(([, , labels = '', value]) => ({
      labels: Object.fromEntries(
        [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, text]) => [name, text]),
      ),
      value: Number(value),
    }));
}

interface Answer {
  readonly status: number;
  readonly connection: string | undefined;
  readonly body: string;
  /** Whether the connection was there already. */
  readonly reused: boolean;
}

function post(
  gatehouse: Gatehouse,
  method: string,
  body: object,
  agent: http.Agent | false,
  key = gatehouse.rootKey,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
    const request = http.request(`${gatehouse.http}/gatehouse.v1.${method}`, {
      method: 'POST',
      agent,
      headers,
    });
    request.on('response', (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('end', () => {
        const { statusCode: status = 0, headers } = response;
        resolve({ status, connection: headers.connection, body: text, reused: request.reusedSocket });
      });
    });
    request.on('error', reject);
    request.end(JSON.stringify(body));
  });
}

async function overConnectionOfItsOwn(gatehouse: Gatehouse, method: string, body: object): Promise<string> {
  return JSON.parse((await post(gatehouse, method, body, false)).body).status;
}

function statusOnce(gatehouse: Gatehouse): Promise<number> {
  return post(gatehouse, 'AuthService/Verify', { token: 'x' }, false).then(({ status }) => status);
}

/** How many have ended by now. */
async function settled(all: readonly Promise<unknown>[]): Promise<number> {
  const pending = Symbol('pending');
  const states = await Promise.all(all.map((one) => Promise.race([one, pending]).catch(() => undefined)));
  return states.filter((state) => state !== pending).length;
}

async function listKeysOverHttp(gatehouse: Gatehouse, key: string | undefined): Promise<number> {
  return (await post(gatehouse, 'KeyService/ListKeys', {}, false, key)).status;
}

/** Makes a call. @returns whether it went over the connection of the one before. */
async function connectionOf(gatehouse: Gatehouse, agent: http.Agent): Promise<'same' | 'new'> {
  const { status, reused } = await post(gatehouse, 'AuthService/Verify', { token: 'x' }, agent);
  if (status !== 200) throw new Error(`status ${status}`);
  return reused ? 'same' : 'new';
}

/** @param answered told of each answer. @returns what the last call got. */
async function callUntilToldToGo(gatehouse: Gatehouse, answered: () => void): Promise<string | undefined> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (;;) {
    const { connection } = await post(gatehouse, 'AuthService/Verify', { token: 'x' }, agent).catch(
      (error: NodeJS.ErrnoException) => ({ connection: error.code }),
    );
    if (connection === 'keep-alive') {
      answered();
      continue;
    }
    agent.destroy();
    return connection;
  }
}

const CHECK_HEADERS = {
  ':method': 'POST',
  ':path': '/grpc.health.v1.Health/Check',
  'content-type': 'application/grpc',
  te: 'trailers',
};

/** One call of the health service. @returns the status of HTTP. */
function check(session: http2.ClientHttp2Session): Promise<number> {
  return new Promise((resolve, reject) => {
    const stream = session.request(CHECK_HEADERS);
    let status = 0;
    stream.on('response', (headers) => {
      status = Number(headers[':status']);
    });
    stream.on('error', reject);
    stream.on('close', () => (status === 0 ? reject(new Error('reset')) : resolve(status)));
    stream.resume();
    stream.end(Buffer.alloc(5));
  });
}

async function healthOverGrpc({ grpc }: Gatehouse): Promise<number> {
  const session = http2.connect(`http://${grpc}`);
  try {
    return await check(session);
  } finally {
    session.close();
  }
}

/** Calls over one connection until GOAWAY. */
async function checkUntilToldToGo({ grpc }: Gatehouse) {
  const session = http2.connect(`http://${grpc}`);
  let told = false;
  session.on('goaway', () => {
    told = true;
  });
  session.on('error', () => {});
  const failed: unknown[] = [];
  let answered = 0;
  while (!told && !session.closed && !session.destroyed) {
    try {
      await check(session);
      answered++;
    } catch (error) {
      // A call that left as GOAWAY came was not looked at: clients make it again elsewhere.
      if (!told) failed.push(error);
    }
  }
  return { answered, failed };
}
