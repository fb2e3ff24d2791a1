/** A real server of Redis' protocol: one on the PATH, or those that the tests' set-up installs. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { freePort } from './free-port.ts';

const START_MS = 30_000;

export interface RedisServer {
  readonly pid: number | undefined;
  readonly port: number;
  /** The URL of a database on it, 0 unless told. */
  url(database?: number): string;
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>;
  /** Ends it as whoever runs it would, also where it is paused. */
  stop(): Promise<void>;
  /** From now on it runs no further, and keeps its connections. */
  pause(): void;
  resume(): void;
  /** Starts it again, on the same port and files: unless `args` says otherwise there are none. @param more is put behind the arguments. */
  start(...more: readonly string[]): Promise<void>;
  /** Kills it, and starts it again without whatever it has written to files. */
  restartEmpty(): Promise<void>;
  /** One command over a connection of its own. @throws Error where it is not answered, or by an error. */
  command(name: string, ...args: readonly (string | number)[]): Promise<unknown>;
  /** Ends it and removes its files. */
  remove(): Promise<void>;
}

export interface RedisOptions {
  /** More arguments of the program. */
  readonly args?: readonly string[];
  /** It copies this server, and has done so once when it is started. */
  readonly replicaOf?: Pick<RedisServer, 'port'>;
}

/** The program that the set-up found; empty where there is none. */
export const REDIS = process.env.GATEHOUSE_TEST_REDIS ?? '';

/** Redis 6.2, the oldest that Gatehouse supports; empty where there is none. */
export const REDIS_OLDEST = process.env.GATEHOUSE_TEST_REDIS_OLDEST ?? '';

/** Starts a server of one's own, which keeps nothing in files. */
export async function startRedis(
  program = REDIS,
  { args = [], replicaOf }: RedisOptions = {},
): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-redis-'));
  const port = await freePort();
  const url = (database = 0) => `redis://127.0.0.1:${port}/${database}`;
  const common = [
    ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder],
    ...['--save', '', '--appendonly', 'no'],
    // A copy is made at once, and leaves no file on either side.
    ...['--repl-diskless-sync', 'yes', '--repl-diskless-sync-delay', '0', '--rdb-del-sync-files', 'yes'],
    ...(replicaOf === undefined ? [] : ['--replicaof', '127.0.0.1', String(replicaOf.port)]),
  ];
  let child: ChildProcess | undefined;

  const end = async (signal: NodeJS.Signals) => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = new Promise((resolve) => child?.once('exit', resolve));
    child.kill(signal);
    child.kill('SIGCONT');
    await exit;
  };
  const start = async (...more: readonly string[]) => {
    child = spawn(program, [...common, ...args, ...more], { cwd: folder, stdio: 'ignore' });
    await reached(url(), child);
  };
  await start();
  return {
    get pid() {
      return child?.pid;
    },
    port,
    url,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    pause: () => child?.kill('SIGSTOP'),
    resume: () => child?.kill('SIGCONT'),
    start,
    async restartEmpty() {
      await end('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder);
      await start();
    },
    command: (name, ...more) => withRedis(url(), (client) => client.call(name, ...more)),
    async remove() {
      await end('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Waits until the process itself, and nothing else on its port, answers PING; a replica, until it has its copy. */
async function reached(url: string, child: ChildProcess): Promise<void> {
  const end = Date.now() + START_MS;
  for (;;) {
    try {
      if (await withRedis(url, (client) => isReady(client, child.pid))) return;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    if (child.exitCode !== null) throw new Error(`Redis ended with ${child.exitCode}`);
    if (Date.now() > end) throw new Error('Redis is not ready');
    await setTimeout(10);
  }
}

async function isReady(client: Redis, pid: number | undefined): Promise<boolean> {
  await client.ping();
  const info = infoOf(await client.info());
  return info.process_id === String(pid) && info.master_link_status !== 'down';
}

/** The fields of an answer to INFO. */
export function infoOf(answer: unknown): Readonly<Record<string, string>> {
  const lines = String(answer).matchAll(/^(\w+):(.*)\r$/gm);
  return Object.fromEntries(Array.from(lines, ([, name, value]) => [name, value]));
}

/** Does some work over a connection of its own, which sends nothing by itself and breaks once. */
export async function withRedis<Result>(
  url: string,
  work: (client: Redis) => Promise<Result>,
): Promise<Result> {
  const client = new Redis(url, {
    lazyConnect: true,
    protocol: 2,
    enableReadyCheck: false,
    disableClientInfo: true,
    retryStrategy: () => null,
  });
  // What went wrong is what the calls are rejected with.
  client.on('error', () => {});
  try {
    await client.connect();
    return await work(client);
  } finally {
    client.disconnect();
  }
}
