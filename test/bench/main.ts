/**
 * `npm run bench`: what a Verify costs, beside an echo of the same messages, in one run.
 *
 * Servers are pinned to core 0 and the load to core 1, where `taskset` is there. Rounds alternate; medians and ratios
 * are printed. The load is closed-loop, so its latencies say little: only throughput is shown.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { create, toBinary } from '@bufbuild/protobuf';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { VerifyRequestSchema } from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';

const ROUNDS = 5;
const ROUND_MS = 3000;
const WARM_UP_MS = 2000;
const CHANNELS = 4;
const IN_FLIGHT = 64;
const KEYS = 1000;
const VERIFY = '/gatehouse.v1.AuthService/Verify';

/** Something that answers Verify's messages, and how to ask it once. */
interface Contender {
  readonly name: string;
  readonly ask: (index: number) => Promise<void>;
}

const canPin = spawnSync('taskset', ['-V']).status === 0;

function pin(pid: number | undefined, core: number): void {
  if (canPin && pid !== undefined) spawnSync('taskset', ['-apc', String(core), String(pid)]);
}

/** Verify over gRPC with messages that are encoded beforehand, so that the load costs as little as it can. */
function overGrpc(
  address: string,
  requests: readonly Buffer[],
  key: string,
): (index: number) => Promise<void> {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${key}`);
  const channels = Array.from(
    { length: CHANNELS },
    (_, index) =>
      new Client(address, credentials.createInsecure(), {
        'grpc.use_local_subchannel_pool': 1,
        'bench.channel': index,
      }),
  );
  const asIs = (bytes: Buffer) => bytes;
  return (index) =>
    new Promise((resolve, reject) => {
      const request = requests[index % requests.length] ?? Buffer.alloc(0);
      channels[index % CHANNELS]?.makeUnaryRequest(VERIFY, asIs, asIs, request, metadata, (error) =>
        error === null ? resolve() : reject(error),
      );
    });
}

function overJson(gatehouse: Gatehouse, tokens: readonly string[]): (index: number) => Promise<void> {
  return async (index) => {
    await callJson(
      gatehouse,
      'AuthService/Verify',
      { token: tokens[index % tokens.length] },
      { key: gatehouse.rootKey },
    );
  };
}

/** Calls answered in a second. */
async function measure({ ask }: Contender, ms: number): Promise<number> {
  let answered = 0;
  const started = performance.now();
  const worker = async () => {
    while (performance.now() - started < ms) await ask(answered++);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  return answered / ((performance.now() - started) / 1000);
}

async function startEcho(): Promise<{ child: ChildProcess; address: string }> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('echo.ts', import.meta.url))], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const port = await new Promise<string>((resolve) =>
    child.stdout?.once('data', (chunk) => resolve(String(chunk).trim())),
  );
  return { child, address: `127.0.0.1:${port}` };
}

async function makeTokens(gatehouse: Gatehouse): Promise<string[]> {
  const tokens: string[] = [];
  for (let made = 0; made < KEYS; made++) {
    const body = {
      keyspace: 'default',
      name: `bench ${made}`,
      owner: { kind: 'user', id: 'u1' },
      permissions: ['docs:*'],
    };
    tokens.push(
      (await callJson(gatehouse, 'KeyService/CreateKey', body, { key: gatehouse.rootKey })).body.secret,
    );
  }
  return tokens;
}

function median(figures: readonly number[]): number {
  return [...figures].sort((one, other) => one - other)[Math.floor(figures.length / 2)] ?? Number.NaN;
}

const gatehouse = await startGatehouse({ env: { GATEHOUSE_LOG_LEVEL: 'warn' } });
const echo = await startEcho();
try {
  const tokens = await makeTokens(gatehouse);
  const requests = tokens.map((token) =>
    Buffer.from(toBinary(VerifyRequestSchema, create(VerifyRequestSchema, { token }))),
  );
  pin(gatehouse.pid, 0);
  pin(echo.child.pid, 0);
  pin(process.pid, 1);
  const contenders: Contender[] = [
    { name: 'grpc-js echo of the same messages', ask: overGrpc(echo.address, requests, gatehouse.rootKey) },
    { name: 'Verify, gRPC', ask: overGrpc(gatehouse.grpc, requests, gatehouse.rootKey) },
    { name: 'Verify, JSON over HTTP/1.1', ask: overJson(gatehouse, tokens) },
  ];
  for (const contender of contenders) await measure(contender, WARM_UP_MS);
  const figures = contenders.map(() => [] as number[]);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, contender] of contenders.entries())
      figures[index]?.push(await measure(contender, ROUND_MS));
  }

  const [base = []] = figures;
  console.log(
    `${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}, ${canPin ? 'pinned' : 'not pinned'}`,
  );
  console.log(
    `${KEYS} keys in memory, ${IN_FLIGHT} in flight, ${ROUNDS} rounds of ${ROUND_MS / 1000} s, medians\n`,
  );
  for (const [index, { name }] of contenders.entries()) {
    const rate = median(figures[index] ?? []);
    console.log(
      `${name.padEnd(36)} ${Math.round(rate).toString().padStart(8)} /s   ${(rate / median(base)).toFixed(2)} x`,
    );
  }
} finally {
  echo.child.kill();
  await gatehouse.remove();
}
process.exit(0);
