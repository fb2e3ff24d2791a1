/** What VerifyStream makes of one core, beside echoes of the same messages and beside unary Verify. */

import { assemble, type Cast } from './cast.ts';
import { byLoad } from './contenders.ts';
import { startGoEcho } from './echo-go.ts';
import { CONNECTIONS, IN_FLIGHT, VERIFY_STREAM } from './load.ts';
import { alternate, type Contender } from './rounds.ts';
import { printTable, saveResults } from './table.ts';

const KEYS = 1_000;
const MESSAGES_IN_FLIGHT = 64;
const UNARY = 'unary Verify';
const JS_ECHO = 'grpc-js echo, bidirectional';
const GO_ECHO = 'grpc-go echo, bidirectional, one core';
const AGAINST = { unary: UNARY, 'grpc-js': JS_ECHO, 'grpc-go': GO_ECHO };

export async function run(): Promise<void> {
  const cast = await assemble(KEYS);
  try {
    const rows = await alternate(await contendersOf(cast));
    printTable(rows, 'messages');
    console.log(
      `\n${CONNECTIONS} connections, one stream with ${MESSAGES_IN_FLIGHT} messages in flight on each; unary:`,
    );
    console.log(
      `${IN_FLIGHT} calls in flight on each. Medians. Ratios are of messages a second, in brackets of messages`,
    );
    console.log('for a second of CPU.');
    const { missing } = cast;
    for (const why of missing) console.log(`left out: ${why}`);
    saveResults('stream', {
      connections: CONNECTIONS,
      inFlight: MESSAGES_IN_FLIGHT,
      keys: KEYS,
      missing,
      rows,
    });
  } finally {
    await cast.remove();
  }
}

async function contendersOf(cast: Cast): Promise<Contender[]> {
  const verify = { pid: cast.pid, addr: cast.addr.grpc };
  const echo = await cast.start('echo.ts');
  const goEcho = await cast.startPeer(GO_ECHO, () => startGoEcho(cast.folder));
  const streamed = { mode: 'stream', path: VERIFY_STREAM, inFlight: MESSAGES_IN_FLIGHT } as const;
  const one = { ...streamed, bodies: 'oneStreamed' } as const;
  const all = { ...streamed, bodies: 'allStreamed' } as const;
  const drawn = `VerifyStream, ${KEYS.toLocaleString('en')} keys drawn`;
  const alone = 'VerifyStream, one connection';
  return [
    ...(await byLoad(cast, { name: 'VerifyStream', server: verify, against: AGAINST }, one)),
    ...(await byLoad(cast, { name: drawn, server: verify, against: AGAINST }, all)),
    ...(await byLoad(cast, { name: alone, server: verify, against: AGAINST }, { ...one, connections: 1 })),
    ...(await byLoad(cast, { name: JS_ECHO, server: echo, against: AGAINST }, one)),
    ...(await byLoad(cast, { name: GO_ECHO, server: goEcho, against: AGAINST }, one)),
    ...(await byLoad(cast, { name: UNARY, server: verify, against: AGAINST }, { bodies: 'one' })),
  ];
}
