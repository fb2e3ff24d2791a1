/** Runs the real `gatehouse` command as a process of its own. */

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { CHILD_ENV } from '../support/child-env.ts';
import type { Gatehouse } from '../support/gatehouse.ts';

const BIN = fileURLToPath(new URL('../../bin/gatehouse.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Piped in; absent: stdin is empty. */
  readonly stdin?: string;
  readonly cwd?: string;
}

export function runCli(
  args: readonly string[],
  { env = {}, stdin = '', cwd }: RunOptions = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [BIN, ...args], {
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...CHILD_ENV, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const printed = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    printed.stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    printed.stderr += chunk.toString();
  });
  // A command that needs no input may be gone before it is written.
  child.stdin.on('error', () => undefined);
  child.stdin.end(stdin);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...printed }));
  });
}

/** As runCli, against this service and with its root key unless `env` says otherwise. */
export function runAgainst(
  { grpc, rootKey }: Pick<Gatehouse, 'grpc' | 'rootKey'>,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ended> {
  return runCli(args, {
    ...options,
    env: { GATEHOUSE_SERVER: grpc, GATEHOUSE_KEY: rootKey, ...options.env },
  });
}

/** As runAgainst, with --json: what a command printed that must go well. */
export async function jsonAgainst(gatehouse: Gatehouse, args: readonly string[]) {
  const { code, stdout, stderr } = await runAgainst(gatehouse, [...args, '--json']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
}
