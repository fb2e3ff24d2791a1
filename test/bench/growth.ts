/**
 * What a Verify costs as things grow: keys in the store, connections, the length of tokens, permissions of a key and
 * permissions asked for. Rows of a block are measured in turns, so that what else the machine does meets all of them; each is
 * given as a ratio to the first.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Keyspace } from '../../src/domain/keyspace.ts';
import { type Gatehouse, startGatehouse } from '../support/gatehouse.ts';
import { DEFAULT_KEYSPACE, type Filling, fill } from './filled-store.ts';
import { type Load, runLoad, writeBodies } from './load.ts';
import { cpuOf, pin, SERVER_CORE } from './processes.ts';
import { median, saveResults } from './results.ts';
import { verifyEach } from './verify-each.ts';

const ROUNDS = 3;
const CALLS = 40_000;
/** Keys that are drawn, uniformly. */
const DRAWN = 10_000;
const STORED = [1000, 10_000, 100_000, 1_000_000];
const CONNECTED = [1, 10, 100, 1000];
/** Calls in flight over all connections, where each has no more than one. */
const IN_FLIGHT = 64;
/** Characters of prefixes and secrets. 22 is the least that has 128 bits; with checksum the largest is 158 in all. */
const TOKENS = [
  { prefix: 2, secret: 22, checksum: false },
  { prefix: 5, secret: 32, checksum: true },
  { prefix: 10, secret: 64, checksum: true },
  { prefix: 16, secret: 98, checksum: true },
  { prefix: 24, secret: 128, checksum: true },
];
const HELD = [0, 1, 10, 100];
/** At most 64 may be asked for. */
const ASKED = [0, 1, 10, 64];
const OTHER_KEYS = 1000;
/** Milliseconds; the longest there is, so that no row pays for reading records again that have become old. */
const CACHE_TTL = 86_400_000;

interface Row extends Load {
  readonly label: string;
  readonly pid: number | undefined;
}

interface Result {
  readonly label: string;
  readonly microseconds: number;
  readonly rate: number;
  /** Of CPU for each call, to the first row. */
  readonly ratio: number;
}

interface Server extends Gatehouse {
  readonly tokens: readonly (readonly string[])[];
}

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-growth-'));
const servers: Server[] = [];

/** `npm run bench -- growth [keys]`: the most keys stored, 1 M unless told. */
export async function run([most = '1000000']: readonly string[] = []): Promise<void> {
  try {
    const blocks = {
      'keys stored': await keysStored(STORED.filter((count) => count <= Number(most))),
      ...(await others()),
    };
    saveResults('growth', { calls: CALLS, rounds: ROUNDS, drawn: DRAWN, blocks });
  } finally {
    for (const server of servers) await server.remove();
    rmSync(folder, { recursive: true });
  }
}

async function keysStored(counts: readonly number[]): Promise<Result[]> {
  const rows: Row[] = [];
  for (const count of counts) {
    const began = performance.now();
    const server = await serve([{ count, keyspace: { ...DEFAULT_KEYSPACE, cacheTtl: CACHE_TTL } }]);
    console.log(`${count} keys stored in ${((performance.now() - began) / 1000).toFixed(0)} s`);
    const [tokens = []] = server.tokens;
    rows.push(await row(server, `${count}`, sampleOf(tokens, DRAWN)));
  }
  return measure('keys stored, 10,000 of them drawn', rows);
}

/** Everything else, over one store. */
async function others(): Promise<Record<string, Result[]>> {
  const lengths = TOKENS.map((format, index) => ({ count: OTHER_KEYS, keyspace: keyspaceOf(format, index) }));
  const many = { count: DRAWN, keyspace: { ...DEFAULT_KEYSPACE, cacheTtl: CACHE_TTL } };
  const held = HELD.map((count) => ({ ...many, count: OTHER_KEYS, permissions: permissions(count) }));
  const server = await serve([many, ...lengths, ...held]);
  const [drawn = [], ...rest] = server.tokens;
  const [ofLengths, ofHeld] = [rest.slice(0, lengths.length), rest.slice(lengths.length)];

  const one = await row(server, '', drawn);
  const connections = CONNECTED.map((count) => {
    const inFlight = Math.max(1, Math.floor(IN_FLIGHT / count));
    return { ...one, label: `${count}`, connections: count, inFlight };
  });
  const tokens: Row[] = [];
  for (const some of ofLengths) tokens.push(await row(server, `${some[0]?.length}`, some));
  const holding: Row[] = [];
  for (const [index, some] of ofHeld.entries()) holding.push(await row(server, `${HELD[index]}`, some));
  const [last = []] = ofHeld.slice(-1);
  const asking: Row[] = [];
  for (const count of ASKED) asking.push(await row(server, `${count}`, last, permissions(count)));
  return {
    connections: await measure('connections, 64 calls in flight over all, or one on each', connections),
    'characters of a token': await measure('characters of a token', tokens),
    'permissions of the key': await measure('permissions of the key', holding),
    'permissions asked for': await measure('permissions asked for, of a key with 100', asking),
  };
}

function permissions(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `docs:read:part-${index}`);
}

function keyspaceOf(format: (typeof TOKENS)[number], index: number): Keyspace {
  const prefix = `${String.fromCharCode(97 + index).repeat(format.prefix - 1)}_`;
  const { secret: secretLength, checksum } = format;
  const id = `tokens-${index}`;
  const displayLength = prefix.length;
  return { ...DEFAULT_KEYSPACE, cacheTtl: CACHE_TTL, id, prefix, secretLength, checksum, displayLength };
}

/** A service over a store with these keys, on the core of the servers. */
async function serve(fillings: readonly Filling[]): Promise<Server> {
  const env = { GATEHOUSE_LOG_LEVEL: 'warn' };
  // Makes the store with all that is in a new one.
  const first = await startGatehouse({ env });
  await first.stop();
  const tokens: string[][] = [];
  for (const filling of fillings) tokens.push(await fill(join(first.folder, 'gatehouse.db'), filling));
  const server = { ...(await startGatehouse({ env, folder: first.folder })), tokens };
  servers.push(server);
  pin(server.pid, SERVER_CORE);
  return server;
}

let files = 0;

/** @returns a row of which all keys are in memory. */
async function row(
  server: Gatehouse,
  label: string,
  tokens: readonly string[],
  asked: readonly string[] = [],
): Promise<Row> {
  await verifyEach(server.grpc, server.rootKey, tokens);
  const bodies = writeBodies(join(folder, `bodies-${files++}`), tokens, { permissions: asked });
  return { label, pid: server.pid, address: server.grpc, credential: server.rootKey, bodies };
}

/** So many of them, from all over the store. */
function sampleOf(tokens: readonly string[], count: number): string[] {
  const step = Math.max(1, Math.floor(tokens.length / count));
  return tokens.filter((_, index) => index % step === 0).slice(0, count);
}

async function measure(title: string, rows: readonly Row[]): Promise<Result[]> {
  const figures = rows.map((row) => ({ row, costs: [] as number[], rates: [] as number[] }));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const { row, costs, rates } of figures) {
      const before = cpuOf(row.pid);
      const { rate } = await runLoad({ ...row, calls: CALLS });
      const cost = (cpuOf(row.pid) - before) / CALLS;
      // The first round is there to warm up.
      if (round > 0) [costs.push(cost), rates.push(rate)];
    }
  }
  const [base] = figures;
  const results = figures.map(({ row: { label }, costs, rates }) => ({
    label,
    microseconds: median(costs),
    rate: median(rates),
    ratio: median(costs) / median(base?.costs ?? []),
  }));
  console.log(`\n${title}`);
  for (const { label, microseconds, rate, ratio } of results) {
    const cost = `${microseconds.toFixed(1).padStart(6)} us CPU  ${rate.toFixed(0).padStart(6)} /s`;
    console.log(`${label.padStart(9)} ${cost}  ${ratio.toFixed(2)} x`);
  }
  return results;
}
