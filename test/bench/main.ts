/**
 * `npm run bench`: what a Verify costs, beside what the transport allows and what others make of it, in one run.
 *
 * The load is h2load (Debian's nghttp2-client), which costs a fraction of any server in Node. Servers are pinned to core 0
 * and the load to core 1, where `taskset` is there. Rounds alternate; medians and ratios are printed, in calls a second and
 * in time of the server's CPU for each call. The load is a closed loop, so it tells nothing of latencies, and each
 * connection asks for one key.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create, toBinary } from '@bufbuild/protobuf';
import { VerifyRequestSchema } from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';

const ROUNDS = 5;
const CALLS = 40_000;
const CONNECTIONS = 4;
const IN_FLIGHT = 16;
const VERIFY = 'gatehouse.v1.AuthService/Verify';
/** Of one tick of the kernel's clock. */
const TICK_NS = 10_000_000;

/** Something that answers a Verify, and how it is asked. */
interface Contender {
  readonly name: string;
  readonly pid: number;
  readonly url: string;
  readonly body: Uint8Array;
  readonly headers: readonly string[];
  readonly http1?: boolean;
  /** Calls of a round; CALLS unless told. */
  readonly calls?: number;
}

interface Figures {
  readonly rates: number[];
  /** Nanoseconds of CPU for each call. */
  readonly costs: number[];
}

const canPin = spawnSync('taskset', ['-V']).status === 0;
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'));

if (spawnSync('h2load', ['--version']).error !== undefined) {
  console.error('npm run bench needs h2load: apt-get install nghttp2-client');
  process.exit(1);
}

function pin(pid: number | undefined, core: number): void {
  if (canPin && pid !== undefined) spawnSync('taskset', ['-apc', String(core), String(pid)]);
}

async function start(file: string): Promise<{ readonly child: ChildProcess; readonly url: string }> {
  const child = spawn(process.execPath, [fileURLToPath(new URL(file, import.meta.url))], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const port = await new Promise<string>((resolve) =>
    child.stdout?.once('data', (chunk) => resolve(String(chunk).trim())),
  );
  pin(child.pid, 0);
  return { child, url: `http://127.0.0.1:${port}` };
}

/** Calls answered in a second, and what each cost the server. @throws Error where one was not answered with OK. */
function measure(contender: Contender): { readonly rate: number; readonly cost: number } {
  const { url, body, headers, http1, pid, calls = CALLS } = contender;
  const file = join(folder, 'body');
  writeFileSync(file, body);
  const load = [
    ...(http1 ? ['--h1'] : []),
    ...['-n', String(calls), '-c', String(http1 ? CONNECTIONS * IN_FLIGHT : CONNECTIONS)],
    ...['-m', String(http1 ? 1 : IN_FLIGHT), '-t', '1', '-d', file],
    ...headers.flatMap((header) => ['-H', header]),
    `${url}/${VERIFY}`,
  ];
  const before = ticksOf(pid);
  const { stdout } = canPin
    ? spawnSync('taskset', ['-c', '1', 'h2load', ...load], { encoding: 'utf8' })
    : spawnSync('h2load', load, { encoding: 'utf8' });
  const [, rate] = /finished in .*, ([\d.]+) req\/s/.exec(stdout) ?? [];
  const [, answered] = /status codes: (\d+) 2xx/.exec(stdout) ?? [];
  if (Number(answered) !== calls) throw new Error(`${contender.name}: not all were answered\n${stdout}`);
  return { rate: Number(rate), cost: ((ticksOf(pid) - before) * TICK_NS) / calls };
}

/** CPU time so far, of which only Linux tells this way. */
function ticksOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return Number.NaN;
  }
}

async function makeToken(gatehouse: Gatehouse): Promise<string> {
  const body = {
    keyspace: 'default',
    name: 'bench 1',
    owner: { kind: 'user', id: 'u1' },
    permissions: ['docs:*'],
  };
  return (await callJson(gatehouse, 'KeyService/CreateKey', body, { key: gatehouse.rootKey })).body.secret;
}

function enveloped(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, 5);
  return bytes;
}

function median(figures: readonly number[]): number {
  return [...figures].sort((one, other) => one - other)[Math.floor(figures.length / 2)] ?? Number.NaN;
}

const gatehouse = await startGatehouse({ env: { GATEHOUSE_LOG_LEVEL: 'warn' } });
const [bare, echo] = [await start('bare.ts'), await start('echo.ts')];
try {
  const token = await makeToken(gatehouse);
  pin(gatehouse.pid, 0);
  const credential = `authorization: Bearer ${gatehouse.rootKey}`;
  const grpc = {
    body: enveloped(toBinary(VerifyRequestSchema, create(VerifyRequestSchema, { token }))),
    headers: ['content-type: application/grpc', 'te: trailers', credential],
  };
  const pid = gatehouse.pid ?? 0;
  const verify = { pid, url: `http://${gatehouse.grpc}`, ...grpc };
  const contenders: Contender[] = [
    { name: 'bare node:http2, the same bytes', pid: bare.child.pid ?? 0, url: bare.url, ...grpc },
    { name: 'Verify, gRPC', ...verify },
    { name: 'grpc-js echo of the same messages', pid: echo.child.pid ?? 0, url: echo.url, ...grpc },
    {
      // A header that only the long way reads.
      name: 'Verify, gRPC, through the router',
      ...verify,
      headers: [...verify.headers, 'x-gatehouse-on-behalf-of: bench'],
      calls: CALLS / 8,
    },
    {
      name: 'Verify, JSON over HTTP/1.1',
      pid,
      url: gatehouse.http,
      body: Buffer.from(JSON.stringify({ token })),
      headers: ['content-type: application/json', credential],
      http1: true,
      calls: CALLS / 8,
    },
  ];
  for (const contender of contenders) measure(contender);
  const figures: Figures[] = contenders.map(() => ({ rates: [], costs: [] }));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, contender] of contenders.entries()) {
      const { rate, cost } = measure(contender);
      figures[index]?.rates.push(rate);
      figures[index]?.costs.push(cost);
    }
  }

  const [cpu] = cpus();
  console.log(
    `${cpu?.model}, ${cpus().length} cores, Node ${process.version}, ${canPin ? '' : 'not '}pinned`,
  );
  console.log(
    `${CONNECTIONS} connections with ${IN_FLIGHT} calls in flight each, ${ROUNDS} rounds, medians\n`,
  );
  const of = (index: number) => ({
    rate: median(figures[index]?.rates ?? []),
    cost: median(figures[index]?.costs ?? []),
  });
  for (const [index, { name }] of contenders.entries()) {
    const { rate, cost } = of(index);
    const ratios = `${(rate / of(0).rate).toFixed(2)} x bare  ${(rate / of(2).rate).toFixed(2)} x echo`;
    console.log(
      `${name.padEnd(36)} ${rate.toFixed(0).padStart(7)} /s  ${(cost / 1000).toFixed(1).padStart(6)} us CPU  ${ratios}`,
    );
  }
} finally {
  bare.child.kill();
  echo.child.kill();
  await gatehouse.remove();
  rmSync(folder, { recursive: true });
}
process.exit(0);
