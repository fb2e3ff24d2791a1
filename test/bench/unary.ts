/**
 * What one Verify costs, beside what the transport allows and what others make of it.
 *
 * The loops are closed and saturate one core, so they tell nothing of latencies. h2load asks for one key; where 10,000 keys
 * are drawn the load is `go/load`, and so it is of the bare server that they are compared with.
 */

import { assemble, type Cast } from './cast.ts';
import { byH2load, byJson, byLoad } from './contenders.ts';
import { startGoEcho } from './echo-go.ts';
import { CONNECTIONS, IN_FLIGHT } from './load.ts';
import { peers } from './peers.ts';
import { alternate, type Contender } from './rounds.ts';
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
  const bare = await cast.start('bare.ts');
  const echo = await cast.start('echo.ts');
  const goEcho = await cast.startPeer('grpc-go echo', () => startGoEcho(cast.folder));
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
  const connect = await cast.start('connect-echo.ts');
  const json = { pid: connect.pid, addr: connect.httpAddr };
  const ours = { name: 'Verify, JSON', server: { pid: cast.pid, addr }, against: AGAINST };
  return [
    ...(await byH2load(cast, { name: `${name}, gRPC`, server: connect, against: AGAINST })),
    ...(await byJson(cast, { name: `${name}, JSON`, server: json, against: AGAINST }, token)),
    ...(await byJson(cast, ours, token)),
    ...(await peers(cast, AGAINST)),
  ];
}
