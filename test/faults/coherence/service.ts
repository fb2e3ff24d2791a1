/** One process of the service, from any copy of its sources, and how it is asked. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { CHILD_ENV } from '../../support/child-env.ts';

/** The program of this checkout. */
export const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
const START_MS = 60_000;
const END_MS = 12_000;
/** Milliseconds that a client waits: longer than anything is stopped here, so that what was queued is answered. */
export const CALL_MS = 20_000;

export interface Service {
  readonly pid: number;
  readonly http: string;
  /** `127.0.0.1:port` */
  readonly grpc: string;
  /** All that it has printed. */
  output(): string;
  signal(signal: NodeJS.Signals): void;
  /** Ends it at once and waits. */
  kill(): Promise<void>;
  /** Ends it as whoever runs it would: SIGTERM, and at once where that takes too long. */
  end(): Promise<void>;
}

/** How a call ended, and when it ran (milliseconds of `performance.now`). */
export interface Answer {
  /** `ok`, a code of the contract such as `unavailable`, or `lost` where the connection broke. */
  readonly code: string;
  readonly reason: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: the answers' shape is what the tests read
  readonly body: any;
  readonly start: number;
  readonly end: number;
}

/** @throws Error with what it printed, where it ends or stays silent instead of listening. */
export async function startService(
  main: string,
  env: Readonly<Record<string, string>>,
  cwd: string,
): Promise<Service> {
  const child = spawn(process.execPath, [main], {
    cwd,
    env: {
      ...CHILD_ENV,
      GATEHOUSE_GRPC_PORT: '0',
      GATEHOUSE_HTTP_PORT: '0',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => {
    printed = (printed + chunk.toString()).slice(-100_000);
  });
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const { grpc, http } = await listening(child, () => printed);
  return {
    pid: child.pid ?? 0,
    http,
    grpc,
    output: () => printed,
    signal: (signal) => void child.kill(signal),
    async kill() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await exit;
    },
    async end() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
      await exit;
      clearTimeout(timer);
    },
  };
}

function listening(
  child: ChildProcessByStdio<null, Readable, Readable>,
  stdout: () => string,
): Promise<{ readonly grpc: string; readonly http: string }> {
  let stderr = '';
  return new Promise((resolve, reject) => {
    const give = (why: string) => {
      child.kill('SIGKILL');
      reject(new Error(`${why}\n${stdout()}\n${stderr}`));
    };
    const timer = setTimeout(() => give('the service did not start in time'), START_MS);
    child.once('close', (code) => {
      clearTimeout(timer);
      give(`the service ended with ${code}`);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
      const [, grpc, http] = /gRPC\s+(\S+)\n\s+HTTP\s+(\S+) [\s\S]*Access[\s\S]*\n\n$/.exec(stderr) ?? [];
      if (grpc === undefined || http === undefined) return;
      clearTimeout(timer);
      resolve({ grpc, http });
    });
  });
}

/** Kibibytes of memory that a process takes; 0 where it is gone, or the system does not tell. */
export function residentSize(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Calls RPCs of one process over HTTP with JSON; connections are kept. */
export class Caller {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });

  /** @param method such as `KeyService/CreateKey`. */
  call(http: string, method: string, body: object, key?: string): Promise<Answer> {
    const text = JSON.stringify(body);
    const start = performance.now();
    return new Promise((resolve) => {
      const ended = (code: string, answer?: { readonly details?: readonly Detail[] }) =>
        resolve({ code, reason: reasonOf(answer?.details), body: answer, start, end: performance.now() });
      const sent = request(
        `${http}/gatehouse.v1.${method}`,
        {
          method: 'POST',
          agent: this.#agent,
          timeout: CALL_MS,
          headers: {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(text),
            ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', () => ended('lost'));
          response.on('end', () => {
            const answer = parsed(Buffer.concat(chunks).toString());
            if (response.statusCode === 200) ended('ok', answer);
            else ended(answer?.code ?? 'lost', answer);
          });
        },
      );
      sent.on('error', () => ended('lost'));
      sent.on('timeout', () => sent.destroy());
      sent.end(text);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

interface Detail {
  readonly debug?: { readonly reason?: string };
}

// biome-ignore lint/suspicious/noExplicitAny: as in Answer
function parsed(text: string): any {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function reasonOf(details: readonly Detail[] = []): string | undefined {
  return details.find(({ debug }) => debug?.reason !== undefined)?.debug?.reason;
}
