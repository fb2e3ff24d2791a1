/** Several processes of the service over one database of a server of the test's own, and how they are asked. */

import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { createGrpcClient } from '../../src/client/grpc.ts';
import { type CodeName, RpcError } from '../../src/client/rpc-error.ts';
import { AuthService } from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { KeyService } from '../../src/gen/gatehouse/v1/key_service_pb.js';
import { Alphabet, HashAlgorithm } from '../../src/gen/gatehouse/v1/keyspace_pb.js';
import { KeyspaceService } from '../../src/gen/gatehouse/v1/keyspace_service_pb.js';
import { openMongoStore } from '../../src/storage/mongodb/open.ts';
import type { MongoKeyStore } from '../../src/storage/mongodb/store.ts';
import { type Gatehouse, type StartOptions, startGatehouse } from '../support/gatehouse.ts';
import { LONG } from '../support/long.ts';
import { type MongoServer, startMongo } from '../support/mongodb.ts';

/** What a client of these tests waits for an answer, in milliseconds: no call may need longer. */
export const CALL_MS = 5000;

const MAX_TRIES = 5;

export interface Rig {
  readonly server: MongoServer;
  /** A new, empty database. */
  emptyDatabase(): string;
  /** Starts so many processes at the same moment; they are removed after the test. */
  start(count: number, uri: string, env?: StartOptions['env']): Promise<readonly Gatehouse[]>;
  startOne(uri: string, env?: StartOptions['env']): Promise<Gatehouse>;
  /** What the processes wrote, read past them; closed after the test. */
  open(uri: string): Promise<MongoKeyStore>;
  /** A client of one process for the holder of a token; closed after the test. */
  client(gatehouse: Pick<Gatehouse, 'grpc'>, token?: string): Client;
  /** Something else to end after the test. */
  after(end: () => unknown): void;
}

export type Client = ReturnType<typeof clientOf>;

/** A server for all tests of the file; whatever a test starts is ended after it, last first. */
export function useServer(): Rig {
  let server: MongoServer;
  const ends: (() => unknown)[] = [];
  const after = (end: () => unknown) => ends.push(end);
  beforeAll(async () => {
    server = await startMongo();
  });
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
  afterAll(() => server?.remove());

  const start: Rig['start'] = async (count, uri, env = {}) => {
    const options = { env: { MONGODB_URI: uri, GATEHOUSE_LOG_LEVEL: 'warn', ...env } };
    const starts = Array.from({ length: count }, () => startGatehouse(options));
    const ended = await Promise.allSettled(starts);
    for (const one of ended) if (one.status === 'fulfilled') after(() => one.value.remove());
    return Promise.all(starts);
  };
  return {
    get server() {
      return server;
    },
    emptyDatabase: () => server.uri(`faults-${randomUUID()}`),
    start,
    async startOne(uri, env) {
      const [one] = await start(1, uri, env);
      if (one === undefined) throw new Error('nothing was started');
      return one;
    },
    async open(uri) {
      const store = await openMongoStore(uri);
      after(() => store.close());
      return store;
    },
    client(gatehouse, token) {
      const client = clientOf(gatehouse, token);
      after(() => client.close());
      return client;
    },
    after,
  };
}

function clientOf({ grpc }: Pick<Gatehouse, 'grpc'>, token: string | undefined) {
  const options = { token, timeout: CALL_MS };
  const keys = createGrpcClient(KeyService, grpc, options);
  const keyspaces = createGrpcClient(KeyspaceService, grpc, options);
  const auth = createGrpcClient(AuthService, grpc, options);
  return {
    keys,
    keyspaces,
    auth,
    close() {
      for (const one of [keys, keyspaces, auth]) one.close();
    },
  };
}

/** A keyspace to create. */
export function keyspaceOf(id: string, prefix: string) {
  return { id, prefix, alphabet: Alphabet.BASE62, secretLength: 32, hash: HashAlgorithm.SHA256 };
}

/** How a call ended, and when it ran (milliseconds of `performance.now`). */
export interface Outcome<Answer> {
  readonly code: 'OK' | CodeName;
  readonly reason: string | undefined;
  readonly answer: Answer | undefined;
  readonly start: number;
  readonly end: number;
}

export async function outcomeOf<Answer>(call: () => Promise<Answer>): Promise<Outcome<Answer>> {
  const start = performance.now();
  try {
    const answer = await call();
    return { code: 'OK', reason: undefined, answer, start, end: performance.now() };
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    const { code, reason } = error;
    return { code, reason, answer: undefined, start, end: performance.now() };
  }
}

/** Makes a call until it is answered: a busy machine may leave one without. */
export async function answered<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  for (let tries = 1; ; tries++) {
    try {
      return await call();
    } catch (error) {
      const away = error instanceof RpcError && error.code === 'UNAVAILABLE';
      if (!away || tries === MAX_TRIES) throw error;
    }
  }
}

/** Waits until something holds. @throws Error where it does not within `ms`. */
export async function until(
  what: string,
  ms: number,
  holds: () => boolean | Promise<boolean>,
): Promise<void> {
  const end = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** How often each value comes. */
export function tally(values: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}

/** Does some work for each item, on so many at a time. */
export async function inLanes<Item>(
  count: number,
  items: readonly Item[],
  work: (item: Item) => Promise<unknown>,
): Promise<void> {
  const left = [...items];
  const lane = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: count }, lane));
}

/** Prints what was measured. */
export function figures(what: string, values: object): void {
  if (LONG) console.info(`${what}: ${JSON.stringify(values)}`);
}
