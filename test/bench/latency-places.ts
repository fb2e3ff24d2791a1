/** Services that find the keys which are asked for in memory, in Redis, or in the embedded store, and what they cost there. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { type Gatehouse, startGatehouse } from '../support/gatehouse.ts';
import { filledFolder } from './filled-gatehouse.ts';
import { DEFAULT_KEYSPACE, fill } from './filled-store.ts';
import { writeVerifies } from './keys.ts';
import { pin } from './machine.ts';
import { type SharedStores, startSharedStores } from './shared-stores.ts';
import { verifyEach } from './verify-each.ts';

/** Many times the calls of one run, so that few keys are drawn twice. */
const STORED = 100_000;
/** Fewer, since each has to be read from MongoDB once: of those drawn many are in memory by the end. */
const IN_REDIS = 6000;
/** As many as a slow MongoDB answers in time. */
const READ_AT_ONCE = 8;
const IN_MEMORY = 10_000;
const LEASE_MS = 20_000;
const LOOK_EVERY = 50;
const QUIET = { GATEHOUSE_LOG_LEVEL: 'warn' };
/** Copies do not get too old within a run. */
const LONG_LIVED = { ...DEFAULT_KEYSPACE, cacheTtl: 86_400_000 };

export interface Place {
  readonly name: string;
  /** A file of questions about all keys. */
  readonly bodies: string;
  /** How many tell what saturates it; few enough that it is not answering from memory by then. */
  readonly saturatingCalls: number;
  /** A service that was asked for no key yet, but for those that it is to have in memory. It runs on the servers' core. */
  start(): Promise<Gatehouse>;
}

/** Where keys may be found, in the order in which they are measured. */
export interface Places {
  readonly memory: Place;
  readonly store: Place;
  /** Undefined: MongoDB or Redis is missing. */
  readonly redis: Place | undefined;
  /** All services must have ended. */
  remove(): Promise<void>;
}

/** Fills the stores: about a minute. */
export async function preparePlaces(): Promise<Places> {
  const files = mkdtempSync(join(tmpdir(), 'gatehouse-latency-'));
  const shared = await startSharedStores();
  const ends = [files];
  const remove = async () => {
    await shared?.remove();
    for (const folder of ends) rmSync(folder, { recursive: true, force: true });
  };
  try {
    const { folder, tokens } = await filledFolder([{ count: STORED, keyspace: LONG_LIVED }]);
    ends.push(folder);
    const [stored = []] = tokens;
    const few = stored.slice(0, IN_MEMORY);
    return {
      memory: {
        name: 'memory',
        saturatingCalls: 40_000,
        bodies: writeVerifies(join(files, 'memory'), few),
        start: () => startPinned({}, folder, (gatehouse) => verifyAll(gatehouse, few)),
      },
      store: {
        name: 'embedded store',
        saturatingCalls: 3000,
        bodies: writeVerifies(join(files, 'store'), stored),
        start: () => startPinned({}, folder),
      },
      redis: shared && (await redisPlace(shared, files)),
      remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function redisPlace({ env, mongodbUri }: SharedStores, folder: string): Promise<Place> {
  // Makes the store.
  await (await startPinned(env, folder)).stop();
  const tokens = await fill(mongodbUri, { count: IN_REDIS, keyspace: LONG_LIVED });
  // A replica that reads each key puts it into Redis.
  await (await startPinned(env, folder, (gatehouse) => verifyAll(gatehouse, tokens, READ_AT_ONCE))).stop();
  return {
    name: 'Redis',
    saturatingCalls: IN_REDIS / 4,
    bodies: writeVerifies(join(folder, 'redis'), tokens),
    start: () =>
      startPinned(env, folder, async (gatehouse) => {
        await leaseOf(gatehouse);
        // What all calls need: the keyspaces, the caller, the owner.
        await verifyAll(gatehouse, tokens.slice(0, 1));
      }),
  };
}

function verifyAll(
  { grpc, rootKey }: Gatehouse,
  tokens: readonly string[],
  inFlight?: number,
): Promise<void> {
  return verifyEach(grpc, rootKey, tokens, inFlight);
}

/** Until it has a lease, a replica asks MongoDB for everything. @throws Error where it gets none. */
async function leaseOf({ http }: Gatehouse): Promise<void> {
  const end = performance.now() + LEASE_MS;
  for (;;) {
    const page = await (await fetch(`${http}/metrics`)).text();
    if (/^gatehouse_lease_held 1$/m.test(page)) return;
    if (performance.now() > end) throw new Error('the replica has no lease');
    await after(LOOK_EVERY);
  }
}

/** @param ready what has to be done before it is asked; where that fails, the service ends. */
async function startPinned(
  env: Readonly<Record<string, string>>,
  folder: string,
  ready: (gatehouse: Gatehouse) => Promise<void> = async () => {},
): Promise<Gatehouse> {
  const gatehouse = await startGatehouse({ env: { ...QUIET, ...env }, folder });
  pin(gatehouse.pid);
  try {
    await ready(gatehouse);
    return gatehouse;
  } catch (error) {
    await gatehouse.stop('SIGKILL');
    throw error;
  }
}
