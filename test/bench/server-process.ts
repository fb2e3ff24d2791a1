/** A server beside Gatehouse that a bench starts as a process of its own. */

import { spawn } from 'node:child_process';
import { pin } from './machine.ts';

const START_MS = 30_000;

/** What a server prints in one line of JSON as soon as it listens. */
interface Printed {
  readonly port: number;
  readonly httpPort?: number;
  readonly token?: string;
}

export interface ServerProcess {
  readonly pid: number;
  /** `host:port` */
  readonly addr: string;
  /** Of HTTP/1.1, where it has two ports. */
  readonly httpAddr: string;
  /** A key of its own that is valid; empty where it knows none. */
  readonly token: string;
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
      const { port, httpPort = port, token = '' }: Printed = JSON.parse(line.toString());
      const [addr, httpAddr] = [`127.0.0.1:${port}`, `127.0.0.1:${httpPort}`];
      resolve({ pid: child.pid ?? 0, addr, httpAddr, token, stop: () => child.kill('SIGKILL') });
    });
  });
}

/** Starts a server that is a file of this folder. */
export function startFile(file: string, ...args: readonly string[]): Promise<ServerProcess> {
  return startServer(process.execPath, [`${import.meta.dirname}/${file}`, ...args]);
}
