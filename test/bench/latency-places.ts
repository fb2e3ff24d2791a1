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
  const { folder, tokens } = await filledFolder([{ count: STORED, keyspace: LONG_LIVED }]);
  const [stored = []] = tokens;
  const few = stored.slice(0, IN_MEMORY);
  const start = () => startPinned({}, folder);
  const shared = await startSharedStores();
  return {
    memory: {
      name: 'memory',
      bodies: writeVerifies(join(files, 'memory'), few),
      async start() {
        const gatehouse = await start();
        await verifyEach(gatehouse.grpc, gatehouse.rootKey, few);
        return gatehouse;
      },
    },
    store: { name: 'embedded store', bodies: writeVerifies(join(files, 'store'), stored), start },
    redis: shared && (await redisPlace(shared, files)),
    async remove() {
      await shared?.remove();
      for (const one of [files, folder]) rmSync(one, { recursive: true, force: true });
    },
  };
}

async function redisPlace(shared: SharedStores, files: string): Promise<Place> {
  const tokens = await fillRedis(shared);
  return {
    name: 'Redis',
    bodies: writeVerifies(join(files, 'redis'), tokens),
    async start() {
      const gatehouse = await startPinned(shared.env);
      await leaseOf(gatehouse);
      // What all calls need: the keyspaces, the caller, the owner.
      await verifyEach(gatehouse.grpc, gatehouse.rootKey, tokens.slice(0, 1));
      return gatehouse;
    },
  };
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

async function startPinned(env: Readonly<Record<string, string>>, folder?: string): Promise<Gatehouse> {
  const place = folder === undefined ? {} : { folder };
  const gatehouse = await startGatehouse({ env: { ...QUIET, ...env }, ...place });
  pin(gatehouse.pid);
  return gatehouse;
}

/** Has a replica read each key, which puts it into Redis, and end. @returns the tokens. */
async function fillRedis({ env, mongodbUri }: SharedStores): Promise<string[]> {
  await (await startPinned(env)).stop();
  const tokens = await fill(mongodbUri, { count: IN_REDIS, keyspace: LONG_LIVED });
  const replica = await startPinned(env);
  await verifyEach(replica.grpc, replica.rootKey, tokens, READ_AT_ONCE);
  await replica.stop();
  return tokens;
}
