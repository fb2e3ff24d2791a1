/**
 * `npm run bench -- long 60`: so many minutes of load in an open loop, at 70 % of what saturates the core: whether memory and
 * latencies stay flat. Keys age as they do in life: each is read from the store again every five minutes.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serveFilled } from './filled-gatehouse.ts';
import { GOOD, writeVerifies } from './keys.ts';
import { type LoadResult, runLoad } from './load.ts';
import { memoryOf } from './machine.ts';
import { riseOf } from './rise.ts';
import { saveResults } from './table.ts';
import { verifyEach } from './verify-each.ts';

const MINUTES = 60;
const KEYS = 10_000;
const SHARE = 0.7;
const SATURATION_SECONDS = 10;
/** How long a minute is, in seconds. */
const MINUTE = Number(process.env.GATEHOUSE_BENCH_SECONDS ?? 60);
/** On each connection: an open loop must not wait for answers. */
const IN_FLIGHT = 128;
/** What a figure may rise by over the second half, as a share of its mean there. */
const FLAT = { rssMiB: 0.05, heapMiB: 0.2, p50: 0.2, p99: 0.5 };

interface Minute {
  readonly minute: number;
  readonly rate: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** At its end. The heap is what is used of it, garbage too. */
  readonly rssMiB: number;
  readonly heapMiB: number;
}

/** @returns 1 where something is not flat. */
export async function run(minutes = MINUTES): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-long-'));
  const { gatehouse, tokens } = await serveFilled([{ count: KEYS }]);
  try {
    const [all = []] = tokens;
    await verifyEach(gatehouse.grpc, gatehouse.rootKey, all);
    const asked = {
      addr: gatehouse.grpc,
      bodies: writeVerifies(join(folder, 'bodies'), all),
      headers: [`authorization: Bearer ${gatehouse.rootKey}`],
      want: GOOD,
    };
    const { rate: saturated } = await runLoad({ ...asked, args: ['-duration', `${SATURATION_SECONDS}s`] });
    const due = Math.floor(SHARE * saturated);
    console.log(`${due} calls a second, of ${saturated.toFixed(0)}; ${KEYS} keys\n`);
    console.log('  minute     rate/s      p50      p99   RSS MiB  heap MiB');
    const rows: Promise<Minute>[] = [];
    const told = (recent: LoadResult) => {
      if (rows.length < minutes) rows.push(look(gatehouse.pid ?? 0, gatehouse.http, rows.length + 1, recent));
    };
    // A second more: the last minute is over by then.
    const args = ['-duration', `${minutes * MINUTE + 1}s`, '-interval', `${MINUTE}s`, '-rate', String(due)];
    const { latencyMs, late } = await runLoad({ ...asked, inFlight: IN_FLIGHT, args }, told);
    const verdicts = judge(await Promise.all(rows));
    const settings = { minutes, minuteSeconds: MINUTE, due, saturated, keys: KEYS };
    saveResults('long', { ...settings, latencyMs, late, verdicts, rows: await Promise.all(rows) });
    return verdicts.every(({ flat }) => flat) ? 0 : 1;
  } finally {
    await gatehouse.remove();
    rmSync(folder, { recursive: true });
  }
}

/** What the service is like at the end of a minute. */
async function look(pid: number, http: string, minute: number, recent: LoadResult): Promise<Minute> {
  const rssMiB = memoryOf(pid);
  const page = await (await fetch(`${http}/metrics`)).text();
  const heapMiB = Number(/^nodejs_heap_size_used_bytes (\d+)/m.exec(page)?.[1]) / 1024 ** 2;
  const { p50, p99 } = recent.latencyMs;
  const figures = [
    recent.rate.toFixed(0),
    p50.toFixed(2),
    p99.toFixed(2),
    rssMiB.toFixed(0),
    heapMiB.toFixed(0),
  ];
  console.log(`${String(minute).padStart(8)} ${figures.map((text) => text.padStart(8)).join('  ')}`);
  return { minute, rate: recent.rate, p50, p99, rssMiB, heapMiB };
}

/** Over the second half, when all that is to be in memory has been for long. */
function judge(rows: readonly Minute[]) {
  const half = rows.slice(Math.floor(rows.length / 2));
  const names = Object.keys(FLAT) as (keyof typeof FLAT)[];
  console.log(`\nwhat rises by over the last ${half.length} minutes`);
  return names.map((name) => {
    const rise = riseOf(half.map((row) => row[name]));
    const flat = rise <= FLAT[name];
    const bound = `at most ${100 * FLAT[name]} %: ${flat ? 'flat' : 'NOT FLAT'}`;
    console.log(`${name.padEnd(8)} ${(100 * rise).toFixed(1).padStart(6)} %  (${bound})`);
    return { name, rise, flat };
  });
}
