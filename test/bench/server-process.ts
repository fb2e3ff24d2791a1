/** A server beside Gatehouse that a bench starts as a process of its own. */

import { spawn } from 'node:child_process';
import { pin } from './machine.ts';

const START_MS = 30_000;

/** What a server prints in one line of JSON as soon as it listens. Ports are of 127.0.0.1. */
interface Printed {
  readonly port: number;
  /** Where it has another one for HTTP/1.1. */
  readonly httpPort?: number;
  /** A key of its own that is valid. */
  readonly token?: string;
}

export interface ServerProcess extends Printed {
  readonly pid: number;
  stop(): void;
}

/**
 * Starts it and waits until it listens; it runs on the servers' core then.
 *
 * @throws Error where it ends, or says nothing in time.
 */
export function startServer(
  program: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<ServerProcess> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  return new Promise((resolve, reject) => {
    const fail = (why: string) => {
      child.kill('SIGKILL');
      reject(new Error(`${program} ${args.join(' ')} ${why}`));
    };
    const timer = setTimeout(() => fail('did not listen in time'), START_MS);
    child.once('error', (error) => fail(error.message));
    child.once('exit', (code) => fail(`ended with ${code}`));
    child.stdout.once('data', (line: Buffer) => {
      clearTimeout(timer);
      child.removeAllListeners('exit');
      pin(child.pid);
      const printed: Printed = JSON.parse(line.toString());
      resolve({ ...printed, pid: child.pid ?? 0, stop: () => child.kill('SIGKILL') });
    });
  });
}

/** Starts a server that is a file of this folder. */
export function startFile(file: string, ...args: readonly string[]): Promise<ServerProcess> {
  return startServer(process.execPath, [`${import.meta.dirname}/${file}`, ...args]);
}
