/** Runs the load generator of `go/load` against a server. */

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  VerifyRequestSchema,
  VerifyStreamRequestSchema,
} from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { buildGo } from './build-go.ts';
import { LOAD_CORE, pinned } from './processes.ts';
import { enveloped } from './verify-each.ts';

/** The start of a VerifyResponse of a valid key: `valid`, and `status` VALID. In hex. */
export const VALID = '0801100f';
/** Of eight characters, which the load generator writes its own over. */
const ITEM_ID = '00000000';
export const CONNECTIONS = 4;
export const IN_FLIGHT = 16;

export interface Load {
  /** `host:port` */
  readonly address: string;
  /** A file that `writeBodies` made. */
  readonly bodies: string;
  readonly credential: string;
  readonly mode?: 'unary' | 'stream';
  readonly connections?: number;
  /** On each connection. */
  readonly inFlight?: number;
  /** How many, or for how many seconds. */
  readonly calls?: number;
  readonly seconds?: number;
  /** Calls a second in all; without it each answer is followed by the next call. */
  readonly rate?: number;
  /** Seconds before anything counts. */
  readonly warmUp?: number;
  /** Seconds between two reports to `told`. */
  readonly interval?: number;
  readonly told?: (report: LoadReport) => void;
  /** What each answer must contain, in hex; VALID unless told. */
  readonly want?: string;
  /** The core that it runs on; LOAD_CORE unless told, `any` for all of them. */
  readonly core?: number | 'any';
}

export interface LoadReport {
  readonly answered: number;
  readonly failed: number;
  readonly seconds: number;
  /** Answers in a second. */
  readonly rate: number;
  /** At a fixed rate from the moment at which the call was due. */
  readonly latencyMs: Readonly<Record<'p50' | 'p90' | 'p99' | 'p999' | 'max', number>>;
}

export interface Asked {
  readonly permissions?: readonly string[];
  /** They are messages of VerifyStream. */
  readonly stream?: boolean;
}

/** Writes what is asked for these tokens, of which the load generator draws one for each call. @returns the file. */
export function writeBodies(file: string, tokens: readonly string[], asked: Asked = {}): string {
  const { permissions = [], stream = false } = asked;
  const bodies = tokens.map((token) => {
    const request = create(VerifyRequestSchema, { token, permissions: [...permissions] });
    if (!stream) return enveloped(toBinary(VerifyRequestSchema, request));
    const item = create(VerifyStreamRequestSchema, { id: ITEM_ID, request });
    return enveloped(toBinary(VerifyStreamRequestSchema, item));
  });
  writeFileSync(file, Buffer.concat(bodies));
  return file;
}

/** @throws Error where the load generator fails, or a call was not answered as wanted. */
export async function runLoad(load: Load): Promise<LoadReport> {
  const { mode = 'unary', core = LOAD_CORE, rate, calls, seconds, interval, told } = load;
  const args = [
    ...['-addr', load.address, '-bodies', load.bodies, '-mode', mode],
    ...['-path', `/gatehouse.v1.AuthService/${mode === 'stream' ? 'VerifyStream' : 'Verify'}`],
    ...['-conns', String(load.connections ?? CONNECTIONS), '-inflight', String(load.inFlight ?? IN_FLIGHT)],
    ...(calls === undefined ? [] : ['-n', String(calls)]),
    ...(seconds === undefined ? [] : ['-duration', `${seconds}s`]),
    ...(rate === undefined ? [] : ['-rate', String(rate)]),
    ...(interval === undefined ? [] : ['-interval', `${interval}s`]),
    ...['-warmup', `${load.warmUp ?? 0}s`, '-want', load.want ?? VALID],
    ...['-header', `authorization: Bearer ${load.credential}`],
  ];
  const [program, ...first] = pinned(core === 'any' ? undefined : core, await buildGo());
  const child = spawn(program, [...first, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  // Each line is a report; the last is that of the whole run.
  let last: LoadReport | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    if (last !== undefined) told?.(last);
    last = JSON.parse(line) as LoadReport;
  }
  const code = await ended;
  if (code !== 0 || last === undefined) throw new Error(`the load generator ended with ${code}`);
  if (last.failed > 0) throw new Error(`${last.failed} calls were not answered as wanted`);
  return last;
}
