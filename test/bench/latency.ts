/**
 * How long a Verify takes in an open loop, from the moment at which it was due: with its key in memory, in Redis only, and in
 * the embedded store only, each at half of what saturates the core; and at fixed rates beside a grpc-js echo.
 *
 * Memory holds about a hundred thousand keys, and its bound is no setting. So what is to miss it is a key that was not asked
 * for before: there are many times more of them than a run makes calls, and each run has a service that was started anew.
 */

import type { Gatehouse } from '../support/gatehouse.ts';
import { GOOD } from './keys.ts';
import { type Place, preparePlaces } from './latency-places.ts';
import { type LoadResult, runLoad } from './load.ts';
import { startFile } from './server-process.ts';
import { saveResults } from './table.ts';

/** How long one rate is kept up. */
const SECONDS = Number(process.env.GATEHOUSE_BENCH_SECONDS ?? 10);
const WARM_UP_SECONDS = 1;
/** Calls a second. */
const RATES = [2000, 5000, 10_000];
/** Milliseconds of p99 at half of saturation. */
const GOALS: Readonly<Record<string, number>> = { memory: 3, Redis: 6, 'embedded store': 15 };
/** On each connection: an open loop must not wait for answers. */
const IN_FLIGHT = 128;

interface Row {
  readonly name: string;
  /** Calls a second that were due. */
  readonly due: number;
  readonly rate: number;
  /** Calls that the service could not answer: it is to be none, and is no latency. */
  readonly failed: number;
  readonly latencyMs: LoadResult['latencyMs'];
  /** Milliseconds of p99. */
  readonly goal?: number;
  /** Share of the calls whose key was not in memory. */
  readonly elsewhere?: number;
}

export async function run(): Promise<void> {
  const places = await preparePlaces();
  const rows: Row[] = [];
  try {
    for (const place of [places.memory, places.redis, places.store]) {
      if (place !== undefined) rows.push(await atHalfOfSaturation(place));
    }
    rows.push(...(await atFixedRates(places.memory)));
  } finally {
    await places.remove();
  }
  print(rows);
  if (places.redis === undefined) console.log('left out: Redis, since it or MongoDB is missing');
  saveResults('latency', { seconds: SECONDS, rows });
}

async function atHalfOfSaturation(place: Place): Promise<Row> {
  const { rate } = await served(place, (asked) =>
    runLoad({ ...asked, mayFail: true, args: ['-n', String(place.saturatingCalls)] }),
  );
  const due = Math.floor(rate / 2);
  return served(place, async (asked, gatehouse) => {
    const before = await readElsewhere(gatehouse);
    const row = await atRate(place.name, asked, due);
    const elsewhere = ((await readElsewhere(gatehouse)) - before) / (due * (SECONDS + WARM_UP_SECONDS));
    const goal = GOALS[place.name];
    return { ...row, elsewhere, ...(goal === undefined ? {} : { goal }) };
  });
}

async function atFixedRates(memory: Place): Promise<Row[]> {
  const echo = await startFile('echo.ts');
  try {
    return await served(memory, async (asked) => {
      const rows: Row[] = [];
      for (const rate of RATES) {
        rows.push(await atRate('memory', asked, rate));
        rows.push(await atRate('grpc-js echo', { ...asked, addr: echo.addr }, rate));
      }
      return rows;
    });
  } finally {
    echo.stop();
  }
}

interface Asked {
  readonly addr: string;
  readonly bodies: string;
  readonly headers: readonly string[];
  readonly want: Uint8Array;
}

async function served<Answer>(
  place: Place,
  work: (asked: Asked, gatehouse: Gatehouse) => Promise<Answer>,
): Promise<Answer> {
  const gatehouse = await place.start();
  try {
    const headers = [`authorization: Bearer ${gatehouse.rootKey}`];
    return await work({ addr: gatehouse.grpc, bodies: place.bodies, headers, want: GOOD }, gatehouse);
  } finally {
    await gatehouse.stop();
  }
}

async function atRate(name: string, asked: Asked, due: number): Promise<Row> {
  const args = ['-warmup', `${WARM_UP_SECONDS}s`, '-duration', `${SECONDS}s`, '-rate', String(due)];
  const { rate, latencyMs, failed } = await runLoad({ ...asked, inFlight: IN_FLIGHT, args, mayFail: true });
  return { name, due, rate, failed, latencyMs };
}

/** Keys that the service has read from Redis or its store so far. */
async function readElsewhere({ http }: Gatehouse): Promise<number> {
  const page = await (await fetch(`${http}/metrics`)).text();
  const lines = page.matchAll(/^gatehouse_cache_(?:shared_hits|misses)_total\{record="key"\} (\d+)$/gm);
  return Array.from(lines, ([, count]) => Number(count)).reduce((sum, count) => sum + count, 0);
}

function print(rows: readonly Row[]): void {
  console.log('                    due/s      p50      p99    p99.9      max');
  for (const { name, due, latencyMs, failed, goal, elsewhere } of rows) {
    const { p50, p99, p999, max } = latencyMs;
    const figures = [p50, p99, p999, max].map((ms) => ms.toFixed(2).padStart(8));
    const held = p99 <= (goal ?? Number.POSITIVE_INFINITY) && failed === 0;
    const notes = [
      ...(goal === undefined ? [] : [`p99 at most ${goal} ms: ${held ? 'held' : 'MISSED'}`]),
      ...(elsewhere === undefined ? [] : [`${(100 * elsewhere).toFixed(0)} % not in memory`]),
      ...(failed === 0 ? [] : [`${failed} FAILED`]),
    ];
    console.log(`${name.padEnd(18)} ${String(due).padStart(6)} ${figures.join(' ')}   ${notes.join(', ')}`);
  }
}
