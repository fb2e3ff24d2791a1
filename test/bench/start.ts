/**
 * How long a start over the embedded store takes to the first answered Verify, beside a bare start of Node, from the sources
 * and built; and how much memory a service has that answered for 100,000 keys.
 */

import { spawn, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { CHILD_ENV } from '../support/child-env.ts';
import { freePort } from '../support/free-port.ts';
import { ROOT_KEY, storeLocation } from '../support/gatehouse.ts';
import { filledFolder } from './filled-gatehouse.ts';
import { memoryOf } from './machine.ts';
import { median } from './rounds.ts';
import { saveResults } from './table.ts';
import { connect, verifyEach, verifyOnce } from './verify-each.ts';

const RUNS = Number(process.env.GATEHOUSE_BENCH_ROUNDS ?? 10);
const KEYS = 100_000;
/** Milliseconds between two looks whether it listens. */
const LOOK_EVERY = 2;
const START_MS = 20_000;
const GOAL_MS = 500;
const GOAL_MIB = 200;
/** How long garbage collected at a signal may take, with what the system takes back of it. */
const COLLECTION_MS = 3000;
const GC = ['--expose-gc', '--import', new URL('../support/gc-on-signal.ts', import.meta.url).href];

const ROOT = join(import.meta.dirname, '../..');
/** As `npm start` and as the image do it; the bare one does nothing at all. */
const BUILT = 'built, dist/main.js';
const WAYS = {
  'npm start, from the sources': ['--import', join(ROOT, 'scripts/fresh.js'), join(ROOT, 'src/main.ts')],
  [BUILT]: [join(ROOT, 'dist/main.js')],
};

/** @param keys that are verified before memory is looked at. */
export async function run(keys = KEYS): Promise<void> {
  const built = spawnSync('npm', ['run', 'build'], { cwd: ROOT, encoding: 'utf8' });
  if (built.status !== 0) throw new Error(`the build failed: ${built.stderr}`);
  const { folder, tokens } = await filledFolder([{ count: keys }]);
  try {
    const [all = []] = tokens;
    const starts = await measureStarts(folder, all[0] ?? '');
    const memory = await measureMemory(folder, all);
    saveResults('start', { runs: RUNS, goalMs: GOAL_MS, starts, keys, goalMiB: GOAL_MIB, memory });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measureStarts(folder: string, token: string) {
  const bare: number[] = [];
  const ways = Object.entries(WAYS).map(([name, args]) => ({ name, args, times: [] as number[] }));
  for (let run = 0; run < RUNS; run++) {
    bare.push(bareStart());
    for (const { args, times } of ways) times.push(await timeToVerify(args, folder, token));
  }
  const runtime = median(bare);
  console.log(`the runtime alone                ${runtime.toFixed(0).padStart(5)} ms`);
  return ways.map(({ name, times }) => {
    const [all, own] = [median(times), median(times) - runtime];
    const verdict = own <= GOAL_MS ? 'held' : 'MISSED';
    console.log(
      `${name.padEnd(32)} ${all.toFixed(0).padStart(5)} ms to the first answer, ${own.toFixed(0)} after the runtime (goal ${GOAL_MS}: ${verdict})`,
    );
    return { name, toFirstAnswerMs: all, afterRuntimeMs: own, runtimeMs: runtime, times };
  });
}

/** Milliseconds of a process that does nothing. */
function bareStart(): number {
  const began = performance.now();
  spawnSync(process.execPath, ['-e', '0']);
  return performance.now() - began;
}

/** Milliseconds from the start of the process to the answer to a Verify that was sent as soon as it listened. */
async function timeToVerify(args: readonly string[], folder: string, token: string): Promise<number> {
  const service = await startService(args, folder);
  try {
    const session = connect(service.grpc);
    await verifyOnce(session, ROOT_KEY, token);
    const time = performance.now() - service.began;
    session.destroy();
    return time;
  } finally {
    await service.stop();
  }
}

/** Starts it as one would who looks at its port, and not at what it prints. */
async function startService(args: readonly string[], folder: string) {
  const [grpcPort, httpPort] = [await freePort(), await freePort()];
  const env = {
    ...CHILD_ENV,
    GATEHOUSE_ROOT_KEY: ROOT_KEY,
    GATEHOUSE_DATA: storeLocation(folder),
    GATEHOUSE_GRPC_PORT: String(grpcPort),
    GATEHOUSE_HTTP_PORT: String(httpPort),
    GATEHOUSE_LOG_LEVEL: 'warn',
  };
  const began = performance.now();
  const child = spawn(process.execPath, args, { cwd: folder, env, stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const stop = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  const service = {
    began,
    pid: child.pid ?? 0,
    grpc: `127.0.0.1:${grpcPort}`,
    http: `http://127.0.0.1:${httpPort}`,
    stop,
  };
  while (!(await accepts(grpcPort))) {
    const late = performance.now() > began + START_MS;
    if (late) await stop();
    if (late || child.exitCode !== null) throw new Error('Gatehouse did not start');
    await after(LOOK_EVERY);
  }
  return service;
}

function accepts(port: number): Promise<boolean> {
  const socket = createConnection({ port, host: '127.0.0.1' });
  return new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  }).finally(() => socket.destroy());
}

/** MiB of RSS of the built service: after the start, with all keys in memory, and after garbage was collected by force. */
async function measureMemory(folder: string, tokens: readonly string[]) {
  const { pid, grpc, http, stop } = await startService([...GC, ...WAYS[BUILT]], folder);
  try {
    const atStart = memoryOf(pid);
    await verifyEach(grpc, ROOT_KEY, tokens);
    const verified = memoryOf(pid);
    const { inMemory, heap } = await numbersOf(http);
    process.kill(pid, 'SIGUSR2');
    await after(COLLECTION_MS);
    const collected = memoryOf(pid);
    const { heap: live } = await numbersOf(http);
    const mib = { atStart, verified, heapUsed: heap, collected, heapLive: live };
    console.log(
      `\n${tokens.length} keys verified once by the built service, ${inMemory} read from the store`,
    );
    for (const [name, figure] of Object.entries(mib))
      console.log(`${name.padEnd(12)} ${figure.toFixed(0)} MiB`);
    console.log(`goal ${GOAL_MIB} MiB: ${verified <= GOAL_MIB ? 'held' : 'MISSED'}`);
    return mib;
  } finally {
    await stop();
  }
}

async function numbersOf(http: string): Promise<{ readonly inMemory: number; readonly heap: number }> {
  const page = await (await fetch(`${http}/metrics`)).text();
  const value = (line: RegExp) => Number(line.exec(page)?.[1]);
  return {
    inMemory: value(/^gatehouse_cache_misses_total\{record="key"\} (\d+)/m),
    heap: value(/^nodejs_heap_size_used_bytes (\d+)/m) / 1024 ** 2,
  };
}
