/** Starts the real service as a process of its own, on free ports, with its data in a temporary folder. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as after } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';
import { CHILD_ENV } from './child-env.ts';
import { dropDatabase, inDatabase } from './mongodb.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const START_MS = 20_000;

export interface Gatehouse {
  /** `http://127.0.0.1:port` */
  readonly http: string;
  /** `127.0.0.1:port` */
  readonly grpc: string;
  readonly rootKey: string;
  readonly pid: number | undefined;
  /** Folder that holds the data file and everything else that the process wrote. */
  readonly folder: string;
  /** All that the process has printed so far. */
  output(): { readonly stdout: string; readonly stderr: string };
  /** Ends the process and waits; SIGTERM unless told. @returns its exit code, null where a signal ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  /** Stops it if it still runs and removes its folder. */
  remove(): Promise<void>;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** A folder of an earlier run, to start again on its data. */
  readonly folder?: string;
  /** No file may grow beyond so many blocks of 512 bytes: to the service the disk is full then. */
  readonly maxFileBlocks?: number;
}

/** Whether this run of the tests is over MongoDB: each folder has a database of its own then. */
export const overMongo = process.env.GATEHOUSE_TEST_STORE === 'mongodb';

/** The store of the service that has this folder, as `openStore` takes it. */
export function storeLocation(folder: string): string {
  return overMongo ? inDatabase(inject('mongodb'), basename(folder)) : join(folder, 'gatehouse.db');
}

/** The settings by which a service finds that store. */
export function storeSettings(folder: string): Readonly<Record<string, string>> {
  return { [overMongo ? 'MONGODB_URI' : 'GATEHOUSE_DATA']: storeLocation(folder) };
}

/** The root key that started services get unless `env` says otherwise. */
export const ROOT_KEY = 'ghm_root-key-of-the-tests-0123456789-abcdef';

/** @throws Error with all that the process printed, where it ends or stays silent instead of listening. */
export async function startGatehouse({
  env = {},
  folder,
  maxFileBlocks,
}: StartOptions = {}): Promise<Gatehouse> {
  const place = folder ?? mkdtempSync(join(tmpdir(), 'gatehouse-test-'));
  const rootKey = env.GATEHOUSE_ROOT_KEY ?? ROOT_KEY;
  // With the signal ignored, a write beyond the limit fails as one on a full disk does.
  const limited = `trap "" XFSZ; ulimit -f ${maxFileBlocks}; exec "$0" "$@"`;
  const [program, ...args] =
    maxFileBlocks === undefined
      ? [process.execPath, MAIN]
      : ['/bin/sh', '-c', limited, process.execPath, MAIN];
  const child = spawn(program ?? process.execPath, args, {
    cwd: place,
    env: {
      ...CHILD_ENV,
      GATEHOUSE_ROOT_KEY: rootKey,
      ...storeSettings(place),
      GATEHOUSE_GRPC_PORT: '0',
      GATEHOUSE_HTTP_PORT: '0',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    printed.stdout += chunk.toString();
  });
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const { grpc, http } = await listening(child, printed);

  const stop = (signal: NodeJS.Signals = 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    return exit;
  };
  return {
    http,
    grpc,
    rootKey,
    pid: child.pid,
    folder: place,
    output: () => ({ ...printed }),
    stop,
    async remove() {
      await stop('SIGKILL');
      if (overMongo) await dropDatabase(storeLocation(place));
      rmSync(place, { recursive: true, force: true });
    },
  };
}

/** Reads what the start prints for people, up to its end, and takes the addresses out of it. */
function listening(
  child: ChildProcessByStdio<null, Readable, Readable>,
  printed: { stdout: string; stderr: string },
): Promise<{ readonly grpc: string; readonly http: string }> {
  return new Promise((resolve, reject) => {
    const give = (why: string) => {
      child.kill('SIGKILL');
      reject(new Error(`${why}\n${printed.stdout}\n${printed.stderr}`));
    };
    const timer = setTimeout(() => give('Gatehouse did not start in time'), START_MS);
    child.once('close', (code) => {
      clearTimeout(timer);
      give(`Gatehouse ended with ${code}`);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      printed.stderr += chunk.toString();
      const [, grpc, http] =
        /gRPC\s+(\S+)\n\s+HTTP\s+(\S+) [\s\S]*Access[\s\S]*\n\n$/.exec(printed.stderr) ?? [];
      if (grpc === undefined || http === undefined) return;
      clearTimeout(timer);
      resolve({ grpc, http });
    });
  });
}

/** One call in Connect's JSON form. */
export interface JsonAnswer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: the answers' shape is what the tests assert
  readonly body: any;
}

/** How often a call is made that gets UNAVAILABLE. The tests' server of MongoDB's protocol is slow while others use it as well. */
const TRIES = overMongo ? 5 : 1;
const PAUSE_MS = 300;

/**
 * Calls an RPC over HTTP with a JSON body. Over MongoDB a call that the store could not answer in time is made again, as
 * clients do.
 *
 * @param method such as `KeyService/CreateKey`.
 * @param body is sent as it is where it is text.
 */
export async function callJson(
  gatehouse: Pick<Gatehouse, 'http'>,
  method: string,
  body: unknown,
  options: CallOptions = {},
): Promise<JsonAnswer> {
  const { tries = TRIES } = options;
  const answer = await callOnce(gatehouse, method, body, options);
  if (answer.status !== 503 || tries === 1) return answer;
  await after(PAUSE_MS);
  return callJson(gatehouse, method, body, { ...options, tries: tries - 1 });
}

export interface CallOptions {
  readonly key?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** How often it is made where the answer is UNAVAILABLE. */
  readonly tries?: number;
}

async function callOnce(
  gatehouse: Pick<Gatehouse, 'http'>,
  method: string,
  body: unknown,
  options: CallOptions,
): Promise<JsonAnswer> {
  const response = await fetch(`${gatehouse.http}/gatehouse.v1.${method}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(options.key === undefined ? {} : { authorization: `Bearer ${options.key}` }),
      ...options.headers,
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? undefined : JSON.parse(text),
  };
}

/** Field paths of an answer's BadRequest details. */
export function fieldsOf({ body }: JsonAnswer): string[] {
  const details: { type: string; debug?: { fieldViolations?: { field: string }[] } }[] = body.details ?? [];
  return details.flatMap(
    (detail) => detail.debug?.fieldViolations?.map((violation) => violation.field) ?? [],
  );
}
