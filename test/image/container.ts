/**
 * Runs what an image would run, as its USER where the tests may change users (as root), else as whoever runs them. Only
 * the volumes can be written to. Paths in ENV are those of the image; here each is below the folder that stands for `/`.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type Image, placeOf } from './build.ts';

const START_MS = 20_000;

export interface Container {
  readonly pid: number;
  output(): { readonly stdout: string; readonly stderr: string };
  /** Runs the HEALTHCHECK. @returns its exit code. */
  healthcheck(): Promise<number | null>;
  /** Runs another command beside it, as `docker exec` does. */
  exec(command: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }>;
  /** @returns the exit code of CMD; null where a signal ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Starts CMD and waits for the log line that says that it listens. */
export async function startContainer(
  image: Image,
  env: Readonly<Record<string, string>>,
): Promise<Container> {
  seal(image);
  const spawnIn = ([program = '', ...args]: readonly string[]) =>
    spawn(program, args, {
      cwd: placeOf(image, '.'),
      env: { ...environmentOf(image), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(process.getuid?.() === 0 ? image.user : {}),
    });
  const child = spawnIn(image.command);
  const printed = record(child);
  const exit = ended(child);
  await listening(child, printed);

  const exec = async (command: readonly string[]) => {
    const other = spawnIn(command);
    const { all } = record(other);
    return { code: await ended(other), output: all() };
  };
  return {
    pid: child.pid ?? 0,
    output: () => ({ stdout: printed.stdout, stderr: printed.stderr }),
    exec,
    healthcheck: async () => (await exec(image.healthcheck)).code,
    stop(signal = 'SIGTERM') {
      child.kill(signal);
      return exit;
    },
  };
}

/** Files that a process has open, sockets and devices left out. Linux only. */
export function openFiles(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  const targets = readdirSync(folder).flatMap((name) => {
    try {
      return [readlinkSync(join(folder, name))];
    } catch {
      // Closed in between.
      return [];
    }
  });
  return targets.filter((target) => target.startsWith('/') && !target.startsWith('/dev/'));
}

/** Undoes what keeps a folder from being removed. */
export function unseal(folder: string): void {
  shell('chmod', '-R', 'u+rwX', folder);
}

function seal(image: Image): void {
  shell('chmod', '-R', 'a-w', image.root);
  for (const volume of image.volumes) {
    shell('chmod', 'u+w', placeOf(image, volume));
    const owner = image.owners.get(volume);
    if (owner !== undefined && process.getuid?.() === 0) shell('chown', '-R', owner, placeOf(image, volume));
  }
}

function shell(program: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

function environmentOf(image: Image): Record<string, string> {
  const mapped = Object.entries(image.env).map(([name, value]): [string, string] => {
    const parts = value.split(':').map((part) => (part.startsWith('/') ? placeOf(image, part) : part));
    return [name, parts.join(':')];
  });
  const env = Object.fromEntries(mapped);
  // `#!/usr/bin/env` and the shell are the machine's.
  return { ...env, PATH: `${env.PATH}:/usr/bin:/bin`, HOME: '/' };
}

function record(child: ChildProcess) {
  const printed = { stdout: '', stderr: '', all: () => printed.stdout + printed.stderr };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.on('data', (chunk: Buffer) => {
      printed[stream] += chunk.toString();
    });
  }
  return printed;
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
}

function listening(child: ChildProcess, printed: { stdout: string; all(): string }): Promise<void> {
  return new Promise((resolve, reject) => {
    const give = (why: string) => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      reject(new Error(`${why}\n${printed.all()}`));
    };
    const timer = setTimeout(() => give('The image did not start in time'), START_MS);
    child.once('close', (code) => give(`The image ended with ${code}`));
    child.stdout?.on('data', () => {
      if (!printed.stdout.includes('"msg":"listening"')) return;
      clearTimeout(timer);
      resolve();
    });
  });
}
