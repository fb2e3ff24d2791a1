/**
 * A server that goes silent in the middle of a call, after any of its commands: the call is answered in time, by OK or
 * UNAVAILABLE, whatever it was at.
 */

import { describe, expect, test } from 'vitest';
import { VerifyStatus } from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { ROOT_KEY } from '../support/gatehouse.ts';
import { LONG } from '../support/long.ts';
import { MONGOD } from '../support/mongodb.ts';
import {
  answered,
  CALL_MS,
  type Client,
  figures,
  inLanes,
  type Outcome,
  outcomeOf,
  tally,
  until,
  useServer,
} from './processes.ts';
import { type Command, type MongoProxy, startProxy } from './proxy.ts';

/** Processes, each behind a proxy of its own: while one meets silence, the others can be asked. */
const LANES = 3;
/** Commands of each call, counted from its end, that the silence begins with: those before are reads alone. */
const LAST = LONG ? Number.POSITIVE_INFINITY : 7;
/** As many as the store may open. */
const CONNECTIONS = 10;
/** Within which the store goes on by itself. */
const BACK_MS = 10_000;
/** Changes of one key that wait for their turn. */
const WAITING = 24;

interface Lane {
  readonly proxy: MongoProxy;
  readonly client: Client;
}

interface Call {
  readonly name: string;
  readonly make: (client: Client, id: string) => Promise<unknown>;
}

const CALLS: readonly Call[] = [
  { name: 'CreateKey', make: ({ keys }) => keys.createKey({ keyspace: 'default', name: 'made' }) },
  { name: 'GetKey', make: ({ keys }, id) => keys.getKey({ id }) },
  { name: 'UpdateKey', make: (client, id) => rename(client, id, 'renamed') },
  { name: 'RevokeKey', make: ({ keys }, id) => keys.revokeKey({ target: { case: 'id', value: id } }) },
];

describe.skipIf(MONGOD === '')('a server that goes silent', () => {
  const rig = useServer();

  test('in the middle of any call: it ends in time, by UNAVAILABLE at worst', async () => {
    const uri = rig.emptyDatabase();
    const lanes = await Promise.all(Array.from({ length: LANES }, () => startLane(uri)));
    const cases: { call: Call; at: number }[] = [];
    for (const call of CALLS) {
      const count = await countCommands(lanes[0] as Lane, call);
      for (let at = Math.max(0, count - LAST); at < count; at++) cases.push({ call, at });
    }
    const outcomes: Record<string, Outcome<unknown>[]> = {};
    await inLanes(LANES, cases, async ({ call, at }) => {
      const lane = lanes.shift() as Lane;
      const outcome = await meetSilence(lane, call, at);
      outcomes[call.name] = [...(outcomes[call.name] ?? []), outcome];
      lanes.push(lane);
    });
    for (const [name, ended] of Object.entries(outcomes)) figures(`silence in ${name}`, measures(ended));
    for (const [name, ended] of Object.entries(outcomes)) {
      for (const { code } of ended) expect(['OK', 'UNAVAILABLE'], `${name}: ${code}`).toContain(code);
    }
  }, 120_000);

  test('while many changes of one key wait for their turn: each ends in time', async () => {
    const { proxy, client } = await startLane(rig.emptyDatabase());
    const { id } = await makeKey(client);
    let silent = false;
    const hold = proxy.hold((command) => {
      silent ||= command.update === 'keys';
      return silent;
    });
    const calls = Array.from({ length: WAITING }, (_, index) =>
      outcomeOf(() => rename(client, id, `renamed ${index}`)),
    );
    const outcomes = await Promise.all(calls);
    figures('silence for those who wait', measures(outcomes));
    await hold.release();
    expect(tally(outcomes.map(({ code }) => code))).toEqual({ UNAVAILABLE: WAITING });
  });

  test('to all connections that are open, for good: the store goes on over new ones', async () => {
    const proxy = await startProxy(rig.server);
    rig.after(() => proxy.close());
    const store = await rig.open(`${proxy.uri('dead-connections')}&maxPoolSize=${CONNECTIONS}`);
    let silent = true;
    const hold = proxy.hold((command) => silent && isOfCall(command));
    const ask = () =>
      store.getKey('key_1').then(
        () => true,
        () => false,
      );
    await until('all connections are silent', BACK_MS, async () => {
      await Promise.all(Array.from({ length: CONNECTIONS }, ask));
      return hold.count >= CONNECTIONS;
    });
    silent = false;
    const from = performance.now();
    await until('an answer comes again', BACK_MS, ask);
    figures('after dead connections', { ms: Math.round(performance.now() - from) });
  });

  async function startLane(uri: string): Promise<Lane> {
    const proxy = await startProxy(rig.server);
    rig.after(() => proxy.close());
    const process = await rig.startOne(proxy.uri(new URL(uri).pathname.slice(1)));
    return { proxy, client: rig.client(process, ROOT_KEY) };
  }
});

/** How many commands a call has, where nothing comes between. */
async function countCommands({ proxy, client }: Lane, { make }: Call): Promise<number> {
  const { id } = await makeKey(client);
  let count = 0;
  const watch = proxy.hold((command) => {
    if (isOfCall(command)) count++;
    return false;
  });
  await make(client, id);
  await watch.release();
  return count;
}

/** A call of which the first `at` commands get through, and nothing any more behind them until it has ended. */
async function meetSilence({ proxy, client }: Lane, { make }: Call, at: number): Promise<Outcome<unknown>> {
  const { id, secret } = await makeKey(client);
  let passed = 0;
  const hold = proxy.hold((command) => passed >= at || (isOfCall(command) && ++passed > at));
  const outcome = await outcomeOf(() => make(client, id));
  await hold.release();
  await until('the store is heard again', CALL_MS, async () => {
    const { code, answer } = await outcomeOf(() => client.auth.verify({ token: secret }));
    return code === 'OK' && answer?.status !== VerifyStatus.UNSPECIFIED;
  });
  return outcome;
}

/** Not what the driver, the sweep or the usage counts send by themselves. */
function isOfCall(command: Command): boolean {
  const name = ['find', 'insert', 'update', 'delete'].find((one) => one in command);
  if (name === undefined || (name !== 'find' && command[name] === 'usage')) return false;
  return !JSON.stringify(command.filter ?? {}).includes('unpublished');
}

async function makeKey({ keys }: Client): Promise<{ id: string; secret: string }> {
  const { key, secret } = await answered(() => keys.createKey({ keyspace: 'default', name: 'one' }));
  return { id: key?.id ?? '', secret };
}

function rename({ keys }: Client, id: string, name: string): Promise<unknown> {
  return keys.updateKey({ key: { id, name }, updateMask: { paths: ['name'] } });
}

function measures(outcomes: readonly Outcome<unknown>[]): object {
  return {
    ...tally(outcomes.map(({ code }) => code)),
    longestMs: Math.round(Math.max(...outcomes.map(({ start, end }) => end - start))),
  };
}
