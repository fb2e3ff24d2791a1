/**
 * What one Verify costs, beside what the transport allows and what others make of it.
 *
 * The loops are closed and saturate one core, so they tell nothing of latencies. h2load asks for one key; where 10,000 keys
 * are drawn the load is `go/load`, and so it is of the bare server that they are compared with.
 */

import { join } from 'node:path';
import { findTools } from '../../scripts/setup-tests.js';
import { startRedis } from '../support/redis.ts';
import { assemble, type Cast } from './cast.ts';
import { byH2load, byJson, byLoad } from './contenders.ts';
import { startGoEcho } from './echo-go.ts';
import { CONNECTIONS, IN_FLIGHT } from './load.ts';
import { LOAD_CORE, pin } from './machine.ts';
import { askInProcess, installPeers, startBetterAuth, startPrefixedApiKey } from './peers.ts';
import { alternate, type Contender } from './rounds.ts';
import { type ServerProcess, startFile } from './server-process.ts';
import { printTable, saveResults } from './table.ts';

const KEYS = 10_000;
const BARE = 'bare node:http2, as many bytes';
const BARE_DRAWN = `${BARE}, by go/load`;
const ECHO = 'grpc-js echo of the same messages';
const VERIFY = 'Verify, gRPC';
const AGAINST = { bare: BARE, echo: ECHO };
/** A header that only the long way reads. */
const ROUTED = ['x-gatehouse-on-behalf-of: bench'];

export async function run(): Promise<void> {
  const cast = await assemble(KEYS);
  try {
    const rows = await alternate([...(await overGrpc(cast)), ...(await overJson(cast))]);
    printTable(rows, 'calls');
    console.log(
      `\n${CONNECTIONS} connections with ${IN_FLIGHT} calls in flight each; JSON: ${CONNECTIONS * IN_FLIGHT}`,
    );
    console.log(
      'connections. Medians. Ratios are of calls a second, in brackets of calls for a second of CPU.',
    );
    for (const why of cast.missing) console.log(`left out: ${why}`);
    const { missing } = cast;
    saveResults('unary', { connections: CONNECTIONS, inFlight: IN_FLIGHT, keys: KEYS, missing, rows });
  } finally {
    await cast.remove();
  }
}

async function overGrpc(cast: Cast): Promise<Contender[]> {
  const bare = placeOf(await cast.add(BARE, () => startFile('bare.ts')));
  const echo = placeOf(await cast.add(ECHO, () => startFile('echo.ts')));
  const goEcho = placeOf(await cast.add('grpc-go echo', () => startGoEcho(cast.folder)));
  const verify = { pid: cast.pid, addr: cast.addr.grpc };
  const drawn = { bodies: 'all' } as const;
  const drawnName = `${VERIFY}, ${KEYS.toLocaleString('en')} keys drawn, by go/load`;
  const routedName = `${VERIFY}, through the router`;
  return [
    ...(await byH2load(cast, { name: BARE, server: bare, against: AGAINST, meaningless: true })),
    ...(await byH2load(cast, { name: VERIFY, server: verify, against: AGAINST })),
    ...(await byLoad(cast, { name: BARE_DRAWN, server: bare, against: {}, meaningless: true }, drawn)),
    ...(await byLoad(cast, { name: drawnName, server: verify, against: { bare: BARE_DRAWN } }, drawn)),
    ...(await byH2load(cast, { name: ECHO, server: echo, against: AGAINST })),
    ...(await byH2load(cast, { name: 'grpc-go echo, one core', server: goEcho, against: AGAINST })),
    ...(await byH2load(cast, { name: routedName, server: verify, against: AGAINST, headers: ROUTED })),
  ];
}

async function overJson(cast: Cast): Promise<Contender[]> {
  const { token, addr } = { token: cast.tokens[0] ?? '', addr: cast.addr.http };
  const name = 'connect-node echo';
  const connect = await cast.add(name, () => startFile('connect-echo.ts'));
  const json = connect && { pid: connect.pid, addr: `127.0.0.1:${connect.httpPort}` };
  const ours = { name: 'Verify, JSON', server: { pid: cast.pid, addr }, against: AGAINST };
  return [
    ...(await byH2load(cast, { name: `${name}, gRPC`, server: placeOf(connect), against: AGAINST })),
    ...(await byJson(cast, { name: `${name}, JSON`, server: json, against: AGAINST }, token)),
    ...(await byJson(cast, ours, token)),
    ...(await peers(cast)),
  ];
}

/** Redis works on the core of the load: what is measured is the checks, and they have the other one. */
async function peers(cast: Cast): Promise<Contender[]> {
  const found: Contender[] = [];
  const json = async (name: string, server: ServerProcess | undefined) => {
    const asked = { name, server: placeOf(server), against: AGAINST };
    found.push(...(await byJson(cast, asked, server?.token ?? '')));
  };
  const sqlite = 'better-auth, JSON, SQLite';
  await json(
    sqlite,
    await cast.add(sqlite, () => {
      installPeers();
      return startBetterAuth(join(cast.folder, 'better-auth.db'));
    }),
  );
  const redis = await startRedis(findTools().GATEHOUSE_TEST_REDIS);
  cast.atEnd(redis.remove);
  pin(redis.pid, LOAD_CORE);
  const cached = 'better-auth, JSON, Redis';
  const startCached = () => startBetterAuth(join(cast.folder, 'better-auth-redis.db'), redis.url(1));
  await json(cached, await cast.add(cached, startCached));
  const prefixed = 'prefixed-api-key, JSON, Redis';
  const server = await cast.add(prefixed, () => startPrefixedApiKey(redis.url(2)));
  await json(prefixed, server);
  if (server !== undefined) {
    const ask = (calls: number) => askInProcess(server, calls);
    found.push({ name: 'prefixed-api-key, in process, Redis', pid: server.pid, against: AGAINST, ask });
  }
  return found;
}

function placeOf(server: ServerProcess | undefined) {
  return server && { pid: server.pid, addr: `127.0.0.1:${server.port}` };
}
