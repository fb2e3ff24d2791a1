/** A real server of MongoDB's protocol: `mongod`, or the one that the tests' set-up installs. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { MongoClient } from 'mongodb';

const START_MS = 30_000;

export interface MongoServer {
  readonly pid: number | undefined;
  /** The URI of a database on it. */
  uri(database: string): string;
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>;
  /** Starts it again, on the same port and data. */
  start(): Promise<void>;
  /** Ends it and removes its data. */
  remove(): Promise<void>;
}

/** The program that the set-up found; empty where there is none. */
export const MONGOD = process.env.GATEHOUSE_TEST_MONGOD ?? '';

/** Starts a server of one's own, for tests that kill it. */
export async function startMongo(program = MONGOD): Promise<MongoServer> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-mongo-'));
  const port = await freePort();
  const uri = (database: string) => `mongodb://127.0.0.1:${port}/${database}?directConnection=true`;
  let child: ChildProcess | undefined;

  const end = async (signal: NodeJS.Signals) => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = new Promise((resolve) => child?.once('exit', resolve));
    child.kill(signal);
    await exit;
  };
  const start = async () => {
    child = spawn(program, argumentsFor(program, port, folder), { cwd: folder, stdio: 'ignore' });
    await reached(uri('admin'), child);
  };
  await start();
  return {
    get pid() {
      return child?.pid;
    },
    uri,
    kill: () => end('SIGKILL'),
    start,
    async remove() {
      await end('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function argumentsFor(program: string, port: number, folder: string): string[] {
  const common = ['--port', String(port)];
  return basename(program).startsWith('mongod')
    ? [...common, '--bind_ip', '127.0.0.1', '--dbpath', folder]
    : [...common, '--host', '127.0.0.1', '--storage-path', join(folder, 'data'), '--log-level', 'ERROR'];
}

async function reached(uri: string, child: ChildProcess): Promise<void> {
  const client = new MongoClient(uri, { serverSelectionTimeoutMS: 250 });
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

function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** The URI with another database in it. */
export function inDatabase(uri: string, database: string): string {
  const [, server = '', options = ''] = /^([^/]+\/\/[^/?]+)(?:\/[^?]*)?(\?.*)?$/.exec(uri) ?? [];
  return `${server}/${database}${options}`;
}

/** Removes a database with all that is in it. */
export async function dropDatabase(uri: string): Promise<void> {
  const client = new MongoClient(uri);
  try {
    await client.db().dropDatabase();
  } finally {
    await client.close();
  }
}
