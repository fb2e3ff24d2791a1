/** Other people's checks of API keys, each as a server of its own: `peers/`, whose packages are installed there. */

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ServerProcess, startFile } from './server-process.ts';

const FOLDER = join(import.meta.dirname, 'peers');
const STAMP = join(FOLDER, 'node_modules', '.stamp');

/** Installs their packages where they are not there, or not those of the lock file. @throws Error where npm fails. */
export function installPeers(): void {
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

/** better-auth's plugin over SQLite, with Redis as its secondary storage where there is a URL. */
export function startBetterAuth(file: string, redisUrl = ''): Promise<ServerProcess> {
  return startFile('peers/better-auth.js', file, redisUrl);
}

export function startPrefixedApiKey(redisUrl: string): Promise<ServerProcess> {
  return startFile('peers/prefixed-api-key.js', redisUrl);
}

/** Has prefixed-api-key check so many tokens in its own process. @returns checks a second. */
export async function askInProcess({ port }: ServerProcess, calls: number): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/loop`, {
    method: 'POST',
    body: JSON.stringify({ calls }),
  });
  if (!response.ok) throw new Error(await response.text());
  const { seconds }: { readonly seconds: number } = JSON.parse(await response.text());
  return calls / seconds;
}
