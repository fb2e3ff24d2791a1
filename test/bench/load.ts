/** The two load generators: h2load, which anyone may have, and `go/load`, which knows many bodies, streams and rates. */

import { execFile } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { buildGo } from './build-go.ts';
import { onLoadCore } from './machine.ts';

const execute = promisify(execFile);

export const CONNECTIONS = 4;
export const IN_FLIGHT = 16;
export const VERIFY = '/gatehouse.v1.AuthService/Verify';
export const VERIFY_STREAM = '/gatehouse.v1.AuthService/VerifyStream';

/** What is asked, and how often. */
export interface Question {
  /** `host:port` */
  readonly addr: string;
  /** VERIFY unless told. */
  readonly path?: string;
  /** A file: of one body for h2load, of as many as one likes for `go/load`. */
  readonly bodies: string;
  /** `name: value` */
  readonly headers: readonly string[];
}

/** What `go/load` prints. Milliseconds; failed is 0 unless calls may fail. */
export interface LoadResult {
  readonly answered: number;
  readonly failed: number;
  /** Calls of an open loop that were sent more than 1 ms behind their due moment. */
  readonly late: number;
  readonly seconds: number;
  readonly rate: number;
  readonly latencyMs: Readonly<Record<'p50' | 'p90' | 'p99' | 'p999' | 'max', number>>;
}

export interface LoadOptions extends Question {
  readonly mode?: 'unary' | 'stream' | 'json';
  readonly connections?: number;
  readonly inFlight?: number;
  /** More arguments: `-n`, or `-duration` and what belongs to it. */
  readonly args: readonly string[];
  /** Bytes that each answer must contain. */
  readonly want?: Uint8Array;
  /** Calls may fail, and are counted then. */
  readonly mayFail?: boolean;
  /** Where the load is made, if not on its own core. */
  readonly core?: number | 'any';
}

/**
 * @param told of each interval that `args` say, as soon as it is over.
 * @returns the whole. @throws Error where a call failed that may not, with the reason of the first.
 */
export async function runLoad(
  options: LoadOptions,
  told?: (recent: LoadResult) => void,
): Promise<LoadResult> {
  const { mode = 'unary', connections = CONNECTIONS, inFlight = IN_FLIGHT, want, core } = options;
  const program = await buildGo();
  const args = [
    ...['-addr', options.addr, '-path', options.path ?? VERIFY, '-mode', mode, '-bodies', options.bodies],
    ...['-conns', String(connections), '-inflight', String(inFlight)],
    ...options.headers.flatMap((header) => ['-header', header]),
    ...(want === undefined ? [] : ['-want', Buffer.from(want).toString('hex')]),
    ...options.args,
  ];
  const running = execute(...onLoadCore(program, args, core));
  const lines = createInterface({ input: running.child.stdout as Readable });
  if (told !== undefined) lines.on('line', (line) => told(JSON.parse(line)));
  const { stdout, stderr } = await running;
  const result: LoadResult = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
  if (result.failed > 0 && !options.mayFail)
    throw new Error(`${result.failed} calls of ${options.addr} failed: ${stderr}`);
  return result;
}

/** Calls over HTTP/2, or over HTTP/1.1 on as many connections as calls are in flight otherwise. @returns calls a second. */
export async function runH2load(question: Question, calls: number, http1 = false): Promise<number> {
  const [connections, inFlight] = http1 ? [CONNECTIONS * IN_FLIGHT, 1] : [CONNECTIONS, IN_FLIGHT];
  const { stdout } = await execute(
    ...onLoadCore('h2load', [
      ...(http1 ? ['--h1'] : []),
      ...['-n', String(calls), '-c', String(connections), '-m', String(inFlight), '-t', '1'],
      ...['-d', question.bodies, ...question.headers.flatMap((header) => ['-H', header])],
      `http://${question.addr}${question.path ?? VERIFY}`,
    ]),
  );
  const [, rate] = /finished in .*, ([\d.]+) req\/s/.exec(stdout) ?? [];
  const [, answered] = /status codes: (\d+) 2xx/.exec(stdout) ?? [];
  if (Number(answered) !== calls) throw new Error(`${question.addr} did not answer all calls\n${stdout}`);
  return Number(rate);
}
