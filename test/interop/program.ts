/** A client program in another language. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);

export interface Program {
  /** The program and the arguments that come before the scenario. */
  readonly command: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  /** Removes what was made for it. */
  remove(): void;
}

/** @returns what it prints. @throws Error with its stderr, where it ends with another code than 0. */
export function run({ command: [file, ...args], env }: Program, ...more: string[]): Promise<string> {
  return runTool(file, [...args, ...more], { env: { ...env } });
}

/** Runs a program to its end while the service's output is read on. */
export async function runTool(
  file: string,
  args: readonly string[],
  { env = {}, cwd }: { readonly env?: NodeJS.ProcessEnv; readonly cwd?: string } = {},
): Promise<string> {
  // Without the proxies that the environment may name: the service is on this machine.
  const { PATH, HOME } = process.env;
  const { stdout } = await execute(file, args, {
    cwd,
    env: { PATH, HOME, ...env },
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout;
}
