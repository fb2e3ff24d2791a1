/** What a process says of a store and a Redis that go away and come back: enough to see it, and not more each second. */

import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { callJson, startGatehouse } from '../support/gatehouse.ts';
import { MONGOD, startMongo } from '../support/mongodb.ts';
import { REDIS, startRedis } from '../support/redis.ts';

const AWAY_MS = 6000;

test.skipIf(MONGOD === '' || REDIS === '')(
  'where Redis is, without the password; and that the store is away, and back, in a line each',
  async () => {
    const [mongo, redis] = await Promise.all([startMongo(), startRedis()]);
    onTestFinished(async () => {
      await Promise.all([mongo.remove(), redis.remove()]);
    });
    await redis.command('ACL', 'SETUSER', 'gatehouse', 'on', '>hunter2', '+@all', '~*', '&*');
    const gatehouse = await startGatehouse({
      env: {
        MONGODB_URI: mongo.uri(`told-${randomUUID()}`),
        REDIS_URL: `redis://gatehouse:hunter2@127.0.0.1:${redis.port}/2`,
        GATEHOUSE_LOG_VERIFY: 'none',
      },
    });
    onTestFinished(() => gatehouse.remove());
    const { stdout, stderr } = gatehouse.output();
    expect(stderr).toContain(`\n  Redis   127.0.0.1:${redis.port}/2, lease held\n`);
    expect(stdout + stderr).not.toContain('hunter2');

    const call = (method: string, body: object) =>
      callJson(gatehouse, method, body, { key: gatehouse.rootKey });
    const made = await call('KeyService/CreateKey', { keyspace: 'default', name: 'one' });
    const { secret } = made.body;
    const metrics = async () => (await fetch(`${gatehouse.http}/metrics`)).text();
    await expect.poll(metrics, { timeout: 5000 }).toContain('gatehouse_replicas 1\n');
    expect((await call('AuthService/Verify', { token: secret })).body.valid).toBe(true);
    const before = gatehouse.output().stdout.length;
    await mongo.kill();
    const end = performance.now() + AWAY_MS;
    while (performance.now() < end) {
      // Each is counted, and each second it is tried to record that.
      expect((await call('AuthService/Verify', { token: secret })).body.valid).toBe(true);
      expect((await fetch(`${gatehouse.http}/readyz`)).status).toBe(200);
      await setTimeout(100);
    }
    await mongo.start();
    const lines = () =>
      gatehouse
        .output()
        .stdout.slice(before)
        .split('\n')
        .filter((line) => line.includes('"msg"'))
        .map((line) => JSON.parse(line).msg as string);
    await expect.poll(lines, { timeout: 20_000 }).toContain('the store answers again');
    const told = lines();
    for (const line of new Set(told)) {
      expect([line, told.filter((one) => one === line).length]).toEqual([line, 1]);
    }
    expect(told).toContain('usage is not recorded yet');
    expect(told).toContain('revoked keys are not marked yet');
  },
  60_000,
);
