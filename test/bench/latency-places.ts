/** Services that find the keys which are asked for in memory, in Redis, or in the embedded store, and what they cost there. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Gatehouse, startGatehouse } from '../support/gatehouse.ts';
import { filledFolder } from './filled-gatehouse.ts';
import { DEFAULT_KEYSPACE, fill } from './filled-store.ts';
import { writeVerifies } from './keys.ts';
import { pin } from './machine.ts';
import { startSharedStores } from './shared-stores.ts';
import { verifyEach } from './verify-each.ts';

/** Many times the calls of one run, so that few keys are drawn twice. */
const STORED = 100_000;
/** Fewer, since each has to be read from MongoDB once: of those drawn many are in memory by the end. */
const IN_REDIS = 6000;
/** As many as a slow MongoDB answers in time. */
const READ_AT_ONCE = 8;
const IN_MEMORY = 10_000;
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
    redis: shared && {
      name: 'Redis',
      bodies: writeVerifies(join(files, 'redis'), await fillRedis(shared)),
      start: () => startPinned(shared.env),
    },
    async remove() {
      await shared?.remove();
      for (const one of [files, folder]) rmSync(one, { recursive: true, force: true });
    },
  };
}

async function startPinned(env: Readonly<Record<string, string>>, folder?: string): Promise<Gatehouse> {
  const place = folder === undefined ? {} : { folder };
  const gatehouse = await startGatehouse({ env: { ...QUIET, ...env }, ...place });
  pin(gatehouse.pid);
  return gatehouse;
}

/** Has a replica read each key, which puts it into Redis, and end. @returns the tokens. */
async function fillRedis({ env, mongodbUri }: Shared): Promise<string[]> {
  await (await startPinned(env)).stop();
  const tokens = await fill(mongodbUri, { count: IN_REDIS, keyspace: LONG_LIVED });
  const replica = await startPinned(env);
  await verifyEach(replica.grpc, replica.rootKey, tokens, READ_AT_ONCE);
  await replica.stop();
  return tokens;
}

type Shared = NonNullable<Awaited<ReturnType<typeof startSharedStores>>>;
