/** A real server of MongoDB's protocol: `mongod`, or the one that the tests' set-up installs. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type Db, type Document, MongoClient, MongoServerError } from 'mongodb';
import { freePort } from './free-port.ts';

const START_MS = 30_000;
const REPLICA_SET = 'tests';

export interface MongoServer {
  readonly pid: number | undefined;
  /** The URI of a database on it. */
  uri(database: string): string;
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>;
  /** Ends it as whoever runs it would. */
  stop(): Promise<void>;
  /** Starts it again, on the same port and data. @param more is put behind the arguments. */
  start(...more: readonly string[]): Promise<void>;
  /** Ends it and removes its data. */
  remove(): Promise<void>;
}

export interface MongoOptions {
  /** Not even a replica set of one: there are no `linearizable` reads then. */
  readonly standalone?: boolean;
  /** What the URIs call this machine; its address unless told. */
  readonly host?: string;
  /** More arguments of the program, and of the URIs. */
  readonly args?: readonly string[];
  readonly uriOptions?: string;
}

/** The program that the set-up found; empty where there is none. */
export const MONGOD = process.env.GATEHOUSE_TEST_MONGOD ?? '';

/** Whether a program is MongoDB's own; else it is the one that the set-up installs. */
export function isMongod(program = MONGOD): boolean {
  return basename(program).startsWith('mongod');
}

/** Starts a server of one's own, for tests that kill it. */
export async function startMongo(
  program = MONGOD,
  { standalone = false, host = '127.0.0.1', args = [], uriOptions = '' }: MongoOptions = {},
): Promise<MongoServer> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-mongo-'));
  const port = await freePort();
  const uri = (database: string) =>
    `mongodb://${host}:${port}/${database}?directConnection=true${uriOptions}`;
  const common = isMongod(program)
    ? mongodArguments(port, folder, standalone)
    : secantusArguments(port, folder, standalone);
  let child: ChildProcess | undefined;

  const end = async (signal: NodeJS.Signals) => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = new Promise((resolve) => child?.once('exit', resolve));
    child.kill(signal);
    await exit;
  };
  const start = async (...more: readonly string[]) => {
    child = spawn(program, [...common, ...args, ...more], { cwd: folder, stdio: 'ignore' });
    await reached(uri('admin'), child);
    if (isMongod(program) && !standalone) await initiated(uri('admin'), `127.0.0.1:${port}`);
  };
  await start();
  return {
    get pid() {
      return child?.pid;
    },
    uri,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    start,
    async remove() {
      await end('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function mongodArguments(port: number, folder: string, standalone: boolean): string[] {
  const place = ['--port', String(port), '--bind_ip', '127.0.0.1', '--dbpath', folder];
  return [...place, ...(standalone ? [] : ['--replSet', REPLICA_SET])];
}

function secantusArguments(port: number, folder: string, standalone: boolean): string[] {
  const place = ['--port', String(port), '--host', '127.0.0.1', '--storage-path', join(folder, 'data')];
  return [...place, '--log-level', 'ERROR', ...(standalone ? ['--standalone'] : [])];
}

async function reached(uri: string, child: ChildProcess): Promise<void> {
  const client = new MongoClient(withoutTimeout(uri), { serverSelectionTimeoutMS: 250 });
  const end = Date.now() + START_MS;
  try {
    for (;;) {
      try {
        await client.connect();
        return;
      } catch (error) {
        if (child.exitCode !== null) throw new Error(`MongoDB ended with ${child.exitCode}`);
        if (Date.now() > end) throw error;
      }
    }
  } finally {
    await client.close();
  }
}

/** A mongod becomes a replica set by being told, once, and takes writes when it has voted. */
async function initiated(uri: string, host: string): Promise<void> {
  const config = { _id: REPLICA_SET, members: [{ _id: 0, host }] };
  await withDatabase(uri, async (database) => {
    try {
      await database.command({ replSetInitiate: config });
    } catch (error) {
      if (!(error instanceof MongoServerError && error.codeName === 'AlreadyInitialized')) throw error;
    }
    const end = Date.now() + START_MS;
    while (!(await database.command({ hello: 1 })).isWritablePrimary) {
      if (Date.now() > end) throw new Error('MongoDB has no primary');
      await setTimeout(50);
    }
  });
}

/** Without the time for a call, which Gatehouse takes from a URI and the driver warns of. */
export function withoutTimeout(uri: string): string {
  return uri.replace(/&timeoutMS=\d+/, '');
}

/** The URI with another database in it. */
export function inDatabase(uri: string, database: string): string {
  const [, server = '', options = ''] = /^([^/]+\/\/[^/?]+)(?:\/[^?]*)?(\?.*)?$/.exec(uri) ?? [];
  return `${server}/${database}${options}`;
}

/** All that is in a database: the documents of each collection by its name. */
export async function readDatabase(uri: string): Promise<Readonly<Record<string, readonly Document[]>>> {
  return withDatabase(uri, async (database) => {
    const collections = await database.collections();
    const contents = collections.map(
      async (one) => [one.collectionName, await one.find().toArray()] as const,
    );
    return Object.fromEntries(await Promise.all(contents));
  });
}

/** Removes a database with all that is in it. */
export async function dropDatabase(uri: string): Promise<void> {
  await withDatabase(uri, (database) => database.dropDatabase());
}

/** Does some work in the database of a URI, past the store. */
export async function withDatabase<Result>(
  uri: string,
  work: (database: Db) => Promise<Result>,
): Promise<Result> {
  const client = new MongoClient(withoutTimeout(uri));
  try {
    return await work(client.db());
  } finally {
    await client.close();
  }
}
