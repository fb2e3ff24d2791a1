/**
 * What a Verify costs as things grow: keys in the store, connections, the length of tokens, permissions of a key and
 * permissions asked for. Rows of a block are asked in turns, and each is compared with the first.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Keyspace } from '../../src/domain/keyspace.ts';
import { VerifyRequestSchema } from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { type FilledGatehouse, serveFilled } from './filled-gatehouse.ts';
import { DEFAULT_KEYSPACE } from './filled-store.ts';
import { GOOD, writeMessages } from './keys.ts';
import { type LoadOptions, runLoad } from './load.ts';
import { alternate, type Contender, type Row } from './rounds.ts';
import { printTable, saveResults } from './table.ts';
import { verifyEach } from './verify-each.ts';

/** Keys that are drawn, uniformly. */
const DRAWN = 10_000;
const STORED = [1000, 10_000, 100_000, 1_000_000];
const CONNECTED = [1, 10, 100, 1000];
/** Calls in flight over all connections, where each has one or more. */
const IN_FLIGHT = 64;
/** Characters of prefixes and secrets. 22 is the least that has 128 bits; 158 in all is the most. */
const FORMATS = [
  { prefix: 2, secret: 22, checksum: false },
  { prefix: 5, secret: 32, checksum: true },
  { prefix: 10, secret: 64, checksum: true },
  { prefix: 16, secret: 98, checksum: true },
  { prefix: 24, secret: 128, checksum: true },
];
const HELD = [0, 1, 10, 100];
/** At most 64 may be asked for. */
const ASKED = [0, 1, 10, 64];
/** Of each kind of key beside those that are drawn. */
const OTHER_KEYS = 1000;
/** Keys that live in memory as long as they may: no row pays for reading again what has become old. */
const LONG_LIVED = { ...DEFAULT_KEYSPACE, cacheTtl: 86_400_000 };

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-growth-'));
const servers: FilledGatehouse[] = [];

/** @param most keys stored in the largest store. */
export async function run(most = 1_000_000): Promise<void> {
  try {
    const stored = await keysStored(STORED.filter((count) => count <= most));
    saveResults('growth', { drawn: DRAWN, blocks: { 'keys stored': stored, ...(await others()) } });
  } finally {
    for (const server of servers) await server.gatehouse.remove();
    rmSync(folder, { recursive: true });
  }
}

async function keysStored(counts: readonly number[]): Promise<Row[]> {
  const contenders: Growing[] = [];
  for (const count of counts) {
    const server = await serve([{ count, keyspace: LONG_LIVED }]);
    const tokens = sampleOf(server.tokens[0] ?? [], DRAWN);
    contenders.push({
      name: `${count.toLocaleString('en')} keys stored`,
      server,
      ...(await known(server, tokens)),
    });
  }
  return compare(contenders);
}

/** Everything else, over one store. */
async function others(): Promise<Record<string, Row[]>> {
  const formats = FORMATS.map((format, index) => ({
    count: OTHER_KEYS,
    keyspace: keyspaceOf(format, index),
  }));
  const held = HELD.map((count) => ({
    count: OTHER_KEYS,
    keyspace: LONG_LIVED,
    permissions: permissions(count),
  }));
  const server = await serve([{ count: DRAWN, keyspace: LONG_LIVED }, ...formats, ...held]);
  const [drawn = [], ...rest] = server.tokens;
  const [ofFormats, ofHeld] = [rest.slice(0, formats.length), rest.slice(formats.length)];

  const all = await known(server, drawn);
  const connections = CONNECTED.map((count) => ({
    ...{ name: `${count} connections`, server, ...all, connections: count },
    inFlight: Math.max(1, Math.floor(IN_FLIGHT / count)),
  }));
  const tokens: Growing[] = [];
  for (const some of ofFormats) {
    tokens.push({ name: `tokens of ${some[0]?.length} characters`, server, ...(await known(server, some)) });
  }
  const holding: Growing[] = [];
  for (const [index, some] of ofHeld.entries()) {
    holding.push({ name: `keys with ${HELD[index]} permissions`, server, ...(await known(server, some)) });
  }
  const [last = []] = ofHeld.slice(-1);
  const asking: Growing[] = [];
  for (const count of ASKED) {
    const name = `${count} permissions asked for, of 100`;
    asking.push({ name, server, ...(await known(server, last, permissions(count))) });
  }
  return {
    connections: await compare(connections),
    'characters of a token': await compare(tokens),
    'permissions of the key': await compare(holding),
    'permissions asked for': await compare(asking),
  };
}

function permissions(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `docs:read:part-${index}`);
}

function keyspaceOf(format: (typeof FORMATS)[number], index: number): Keyspace {
  const prefix = `${'abcdefgh'.charAt(index).repeat(format.prefix - 1)}_`;
  const { secret: secretLength, checksum } = format;
  return {
    ...LONG_LIVED,
    id: `tokens-${index}`,
    prefix,
    secretLength,
    checksum,
    displayLength: prefix.length,
  };
}

async function serve(fillings: Parameters<typeof serveFilled>[0]): Promise<FilledGatehouse> {
  const server = await serveFilled(fillings);
  servers.push(server);
  return server;
}

/** So many of them, from all over the store. */
function sampleOf(tokens: readonly string[], count: number): string[] {
  const step = Math.max(1, Math.floor(tokens.length / count));
  return tokens.filter((_, index) => index % step === 0).slice(0, count);
}

let files = 0;

/** Has these keys in memory. @returns a file of questions about them. */
async function known(
  { gatehouse }: FilledGatehouse,
  tokens: readonly string[],
  asked: readonly string[] = [],
): Promise<{ readonly bodies: string }> {
  await verifyEach(gatehouse.grpc, gatehouse.rootKey, tokens);
  const questions = tokens.map((token) => ({ token, permissions: [...asked] }));
  return { bodies: writeMessages(join(folder, `bodies-${files++}`), VerifyRequestSchema, questions) };
}

interface Growing extends Pick<LoadOptions, 'bodies' | 'connections' | 'inFlight'> {
  readonly name: string;
  readonly server: FilledGatehouse;
}

/** Asks them in turns and prints them, each beside the first. */
async function compare(growing: readonly Growing[]): Promise<Row[]> {
  const first = growing[0]?.name ?? '';
  const rows = await alternate(
    growing.map(({ name, server: { gatehouse }, ...load }): Contender => {
      const headers = [`authorization: Bearer ${gatehouse.rootKey}`];
      const options = { ...load, addr: gatehouse.grpc, headers, want: GOOD };
      const ask = async (calls: number) => (await runLoad({ ...options, args: ['-n', String(calls)] })).rate;
      return { name, pid: gatehouse.pid ?? 0, against: { first }, ask };
    }),
  );
  printTable(rows, 'calls');
  console.log();
  return rows;
}
