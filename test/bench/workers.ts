/**
 * What two workers on two cores answer beside one on one core, over MongoDB and Redis with the keys in memory. The load is
 * made on the same cores, and costs a fraction of what the service does.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { type Gatehouse, startGatehouse } from '../support/gatehouse.ts';
import { GOOD, makeTokens, writeVerifies } from './keys.ts';
import { runLoad } from './load.ts';
import { canPin, cpuTimeOf, LOAD_CORE, pin, SERVER_CORE } from './machine.ts';
import { median } from './rounds.ts';
import { startSharedStores } from './shared-stores.ts';
import { saveResults } from './table.ts';
import { verifyEach } from './verify-each.ts';

const ROUNDS = Number(process.env.GATEHOUSE_BENCH_ROUNDS ?? 5);
const SECONDS = Number(process.env.GATEHOUSE_BENCH_SECONDS ?? 3);
const WORKERS = 2;
const GOAL = 1.5;
const NS = 1e9;
const KEYS = 100;
/** Handed to the workers in turn: an even number of them, so that each has as many. */
const CONNECTIONS = 8;
const START_MS = 20_000;
/** As many as a slow MongoDB answers in time. */
const READ_AT_ONCE = 4;

interface Service {
  readonly name: string;
  readonly gatehouse: Gatehouse;
  /** Where the load is made. */
  readonly core: number | 'any';
  /** Processes that answer. */
  readonly pids: readonly number[];
  readonly rates: number[];
  /** Cores that those processes had. */
  readonly cores: number[];
}

export async function run(): Promise<void> {
  const stores = await startSharedStores();
  if (stores === undefined) return console.log('left out: MongoDB or Redis is missing');
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-workers-'));
  const ends: (() => Promise<void>)[] = [() => stores.remove()];
  try {
    const one = await startGatehouse({ env: { ...stores.env, GATEHOUSE_LOG_LEVEL: 'warn' } });
    ends.push(one.remove);
    pin(one.pid);
    const env = { ...stores.env, GATEHOUSE_LOG_VERIFY: 'none', GATEHOUSE_WORKERS: String(WORKERS) };
    const two = await startGatehouse({ env });
    ends.push(two.remove);
    await allListen(two);
    const tokens = await makeTokens(one, KEYS);
    for (const gatehouse of [one, two]) await known(gatehouse, tokens);
    const bodies = writeVerifies(join(folder, 'bodies'), tokens);
    const services = [
      service(`${WORKERS} workers and the load on two cores`, two, 'any', workersOf(two)),
      service('one worker and the load on one core', one, SERVER_CORE, [one.pid ?? 0]),
      service('one worker on one core, the load on the other', one, LOAD_CORE, [one.pid ?? 0]),
    ];
    await alternately(services, bodies);
    report(services);
  } finally {
    for (const end of ends.reverse()) await end();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @throws Error where a worker does not in time. */
async function allListen(gatehouse: Gatehouse): Promise<void> {
  const end = performance.now() + START_MS;
  while (workersOf(gatehouse).length < WORKERS) {
    if (performance.now() > end) throw new Error('not all workers listen');
    await after(50);
  }
}

/** Has all keys in the memory of each worker. Connections are handed to them in turn. */
async function known({ grpc, rootKey }: Gatehouse, tokens: readonly string[]): Promise<void> {
  for (let connection = 0; connection < 2 * WORKERS; connection++) {
    await verifyEach(grpc, rootKey, tokens, READ_AT_ONCE);
  }
}

async function alternately(services: readonly Service[], bodies: string): Promise<void> {
  for (let round = 0; round <= ROUNDS; round++) {
    for (const { gatehouse, core, pids, rates, cores } of services) {
      const used = () => pids.reduce((sum, pid) => sum + cpuTimeOf(pid), 0);
      const before = used();
      const { rate, seconds } = await runLoad({
        ...{ addr: gatehouse.grpc, bodies, connections: CONNECTIONS, want: GOOD, core },
        headers: [`authorization: Bearer ${gatehouse.rootKey}`],
        args: ['-duration', `${SECONDS}s`],
      });
      // The first round is there to warm up.
      if (round > 0) [rates.push(rate), cores.push((used() - before) / NS / seconds)];
    }
  }
}

function workersOf(gatehouse: Gatehouse): number[] {
  const whole = gatehouse.output().stdout.split('\n').slice(0, -1);
  const lines = whole.filter((line) => line.includes('"a worker listens"'));
  return lines.map((line) => JSON.parse(line).pid);
}

function service(
  name: string,
  gatehouse: Gatehouse,
  core: Service['core'],
  pids: readonly number[],
): Service {
  return { name, gatehouse, core, pids, rates: [], cores: [] };
}

/** The goal is against one worker that shares its core with the load, as two do; the other one is shown beside it. */
function report(services: readonly Service[]): void {
  const [two] = services;
  const rows = services.map(({ name, rates, cores }) => ({
    name,
    rate: median(rates),
    cores: median(cores),
    ratio: median(rates.map((rate, round) => (two?.rates[round] ?? Number.NaN) / rate)),
    rates,
  }));
  for (const { name, rate, cores, ratio } of rows) {
    const figures = `${rate.toFixed(0).padStart(7)} /s on ${cores.toFixed(2)} cores`;
    console.log(`${name.padEnd(48)} ${figures}, to which two are ${ratio.toFixed(2)} x`);
  }
  const ratio = rows[1]?.ratio ?? Number.NaN;
  console.log(`goal ${GOAL} x one worker and the load on one core: ${ratio >= GOAL ? 'held' : 'MISSED'}`);
  if (!canPin) console.log('not pinned: one worker had both cores as well');
  saveResults('workers', { goal: GOAL, connections: CONNECTIONS, keys: KEYS, seconds: SECONDS, rows });
}
