/** Other people's checks of API keys, each as a server of its own: `peers/`, whose packages are installed there. */

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findTools } from '../../scripts/setup-tests.js';
import { startRedis } from '../support/redis.ts';
import type { Cast } from './cast.ts';
import { byJson } from './contenders.ts';
import { LOAD_CORE, pin } from './machine.ts';
import type { Contender } from './rounds.ts';
import { type ServerProcess, startFile } from './server-process.ts';

const FOLDER = join(import.meta.dirname, 'peers');
const STAMP = join(FOLDER, 'node_modules', '.stamp');

/** Installs their packages where they are not there, or not those of the lock file. @throws Error where npm fails. */
function install(): void {
  const lock = readFileSync(join(FOLDER, 'package-lock.json'), 'utf8');
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === lock) return;
  console.error('Installing the peers in test/bench/peers ...');
  const { status } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: FOLDER,
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) throw new Error('npm could not install the peers of test/bench/peers');
  writeFileSync(STAMP, lock);
}

/**
 * All of them, with a Redis on the core of the load: what is measured is the checks, and they have the other one.
 *
 * @param against as of a contender.
 */
export async function peers(cast: Cast, against: Contender['against']): Promise<Contender[]> {
  const redis = await startRedis(findTools().GATEHOUSE_TEST_REDIS);
  cast.atEnd(redis.remove);
  pin(redis.pid, LOAD_CORE);
  const file = (name: string) => join(cast.folder, name);
  const overHttp: readonly [string, () => Promise<ServerProcess>][] = [
    ['better-auth, SQLite', () => startBetterAuth(file('better-auth.db'))],
    ['better-auth, Redis', () => startBetterAuth(file('better-auth-redis.db'), redis.url(1))],
    ['prefixed-api-key, Redis', () => startPrefixedApiKey(redis.url(2))],
  ];
  const found: Contender[] = [];
  for (const [peer, start] of overHttp) {
    const server = await cast.startPeer(peer, start);
    found.push(...(await byJson(cast, { name: `${peer}, JSON`, server, against }, server?.token ?? '')));
  }
  const name = 'prefixed-api-key, Redis, in process';
  const server = await cast.startPeer(name, () => startPrefixedApiKey(redis.url(3)));
  if (server !== undefined) {
    found.push({ name, pid: server.pid, against, ask: (calls) => askInProcess(server, calls) });
  }
  return found;
}

/** better-auth's plugin over SQLite, with Redis as its secondary storage where there is a URL. */
async function startBetterAuth(file: string, redisUrl = ''): Promise<ServerProcess> {
  install();
  return startFile('peers/better-auth.js', file, redisUrl);
}

async function startPrefixedApiKey(redisUrl: string): Promise<ServerProcess> {
  install();
  return startFile('peers/prefixed-api-key.js', redisUrl);
}

/** Has prefixed-api-key check so many tokens in its own process. @returns checks a second. */
async function askInProcess({ addr }: ServerProcess, calls: number): Promise<number> {
  const response = await fetch(`http://${addr}/loop`, {
    method: 'POST',
    body: JSON.stringify({ calls }),
  });
  if (!response.ok) throw new Error(await response.text());
  const { seconds }: { readonly seconds: number } = JSON.parse(await response.text());
  return calls / seconds;
}
