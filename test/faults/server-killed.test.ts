/** A store that goes away costs no acknowledged write and no restart; every call meanwhile is answered in time. */

import { describe, expect, test } from 'vitest';
import { VerifyStatus } from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import type { MongoKeyStore } from '../../src/storage/mongodb/store.ts';
import { type Gatehouse, ROOT_KEY } from '../support/gatehouse.ts';
import { LONG } from '../support/long.ts';
import { MONGOD } from '../support/mongodb.ts';
import { type Load, startLoad } from './load.ts';
import {
  answered,
  CALL_MS,
  type Client,
  figures,
  type Outcome,
  tally,
  until,
  useServer,
} from './processes.ts';

const KILLS = 5;
const LANES = 4;
/** Within which a Verify is answered whatever the store does: half a second, and what a busy machine adds. */
const VERIFY_MS = LONG ? 1000 : 2000;
/** Within which a stop ends, as docs/operations.md has it for systemd. */
const STOP_MS = 30_000;
/** Within which the service goes on by itself, once the store is back. */
const BACK_MS = 5000;

describe.skipIf(MONGOD === '')('a MongoDB server that goes away under creates and revokes', () => {
  const rig = useServer();

  test('killed -9 and started again five times: every acknowledged write is there, and no call waits too long', async () => {
    const { gatehouse, client, load, store } = await setUp();
    const backAfter: number[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      await someSucceed(load, performance.now());
      await rig.server.kill();
      await isAway(gatehouse, load);
      await rig.server.start();
      backAfter.push(await someSucceed(load, performance.now()));
      await isBack(gatehouse);
    }
    await load.stop();
    report('server killed', load, { backAfter });
    checkOutcomes(load);
    await checkWrites(load, client, store);
    checkCalm(gatehouse);
  }, 120_000);

  test('silent for a while: every call is answered in time, a Verify sooner', async () => {
    const { gatehouse, client, load, store } = await setUp();
    await someSucceed(load, performance.now());
    signal('SIGSTOP');
    rig.after(() => signal('SIGCONT'));
    const from = performance.now();
    await isAway(gatehouse, load);
    await until('several calls met the silence', BACK_MS, () => refused(load.outcomes.verify, from) >= 6);
    signal('SIGCONT');
    const backAfter = await someSucceed(load, performance.now());
    await isBack(gatehouse);
    await load.stop();
    report('server silent', load, { backAfter });
    checkOutcomes(load);
    await checkWrites(load, client, store);
    checkCalm(gatehouse);
  }, 60_000);

  if (LONG) {
    // What it counted meanwhile is lost with it, and its exit code says so.
    test('silent for good: a stop of the service ends all the same', async () => {
      const { gatehouse, load } = await setUp();
      await someSucceed(load, performance.now());
      signal('SIGSTOP');
      rig.after(() => signal('SIGCONT'));
      const from = performance.now();
      await until('many calls met the silence', STOP_MS, () => refused(load.outcomes.verify, from) >= 20);
      await load.stop();
      const stopped = performance.now();
      await gatehouse.stop();
      figures('a stop in silence', { ms: Math.round(performance.now() - stopped) });
      expect(performance.now() - stopped).toBeLessThan(STOP_MS);
    }, 120_000);
  }

  async function setUp() {
    const uri = rig.emptyDatabase();
    const gatehouse = await rig.startOne(uri);
    const client = rig.client(gatehouse, ROOT_KEY);
    const load = startLoad(client, LANES);
    rig.after(() => load.stop());
    return { gatehouse, client, load, store: await rig.open(uri) };
  }

  function signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    const { pid } = rig.server;
    if (pid !== undefined) process.kill(pid, name);
  }
});

/** Waits until a create, a revoke and a Verify that began after `from` succeeded. @returns milliseconds to the first. */
async function someSucceed({ outcomes }: Load, from: number): Promise<number> {
  const firsts = () =>
    Object.values(outcomes).map((ended) => ended.find(({ code, start }) => code === 'OK' && start >= from));
  await until('calls succeed again', BACK_MS, () => firsts().every((first) => first !== undefined));
  return Math.round(Math.min(...firsts().map((first) => first?.end ?? 0)) - from);
}

/** Waits until the outage shows: calls are refused, and the service is alive but not ready. */
async function isAway({ http }: Gatehouse, { outcomes }: Load): Promise<void> {
  const from = performance.now();
  await until('a call is refused', CALL_MS, () => refused(Object.values(outcomes).flat(), from) > 0);
  expect((await fetch(`${http}/healthz`)).status).toBe(200);
  await until('it is not ready', CALL_MS, async () => (await fetch(`${http}/readyz`)).status === 503);
}

async function isBack({ http }: Gatehouse): Promise<void> {
  await until('it is ready again', BACK_MS, async () => (await fetch(`${http}/readyz`)).status === 200);
}

function refused(outcomes: readonly Outcome<unknown>[], from: number): number {
  return outcomes.filter(({ code, start }) => code === 'UNAVAILABLE' && start >= from).length;
}

function checkOutcomes({ outcomes }: Load): void {
  const all = Object.values(outcomes).flat();
  for (const { code, reason, start, end } of all) {
    expect(end - start).toBeLessThan(CALL_MS);
    if (code !== 'OK') expect([code, reason]).toEqual(['UNAVAILABLE', 'STORE_UNAVAILABLE']);
  }
  expect(longest(outcomes.verify)).toBeLessThan(VERIFY_MS);
}

/** Every key verifies as its creates and revokes were answered, and its events say the same. */
async function checkWrites({ made }: Load, { auth }: Client, store: MongoKeyStore): Promise<void> {
  for (const { id, secret, revoke } of made) {
    const { status } = await answered(() => auth.verify({ token: secret }));
    const key = await store.getKey(id);
    // A revoke that was refused may have been made all the same.
    const revoked = revoke?.code === 'OK' || (revoke !== undefined && key?.revokeTime !== undefined);
    expect(status).toBe(revoked ? VerifyStatus.REVOKED : VerifyStatus.VALID);
    await until(
      'its events are published',
      BACK_MS,
      async () => (await store.getKey(id))?.pending.length === 0,
    );
    const events = await store.listEvents({ kind: 'key', id });
    expect(events.map(({ action }) => action)).toEqual(['key.create', ...(revoked ? ['key.revoke'] : [])]);
  }
}

/** It still is the same process, and nothing happened to it that nobody foresaw. */
function checkCalm(gatehouse: Gatehouse): void {
  expect(() => process.kill(gatehouse.pid ?? 0, 0)).not.toThrow();
  const { stdout, stderr } = gatehouse.output();
  const levels = stdout
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line).level);
  expect(new Set(levels)).not.toContain('error');
  expect(new Set(levels)).not.toContain('fatal');
  expect(stderr).not.toMatch(/unhandled|uncaught/i);
}

function report(what: string, { made, outcomes }: Load, more: object): void {
  const calls = Object.entries(outcomes).map(([call, ended]) => [
    call,
    { ...tally(ended.map(({ code }) => code)), longestMs: longest(ended) },
  ]);
  figures(what, { acknowledged: made.length, ...Object.fromEntries(calls), ...more });
}

function longest(outcomes: readonly Outcome<unknown>[]): number {
  return Math.round(Math.max(0, ...outcomes.map(({ start, end }) => end - start)));
}
