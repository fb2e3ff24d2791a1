/** Who is asked in a bench: Gatehouse with its keys, and beside it servers that may be missing. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Gatehouse, startGatehouse } from '../support/gatehouse.ts';
import { makeTokens, writeStreamVerifies, writeVerifies } from './keys.ts';
import { pin } from './machine.ts';
import { type ServerProcess, startFile } from './server-process.ts';

export interface Cast {
  readonly gatehouse: Gatehouse;
  /** The process that answers for Gatehouse. */
  readonly pid: number;
  /** `host:port` of each of Gatehouse's ports. */
  readonly addr: { readonly grpc: string; readonly http: string };
  /** Tokens of its keys, all good. */
  readonly tokens: readonly string[];
  /** The header that makes the load a caller. */
  readonly credential: string;
  /** A temporary folder. */
  readonly folder: string;
  /** Files of questions: about the first key, about each of them, and both for a stream. */
  readonly files: Readonly<Record<'one' | 'all' | 'oneStreamed' | 'allStreamed', string>>;
  /** What could not be had, and why. */
  readonly missing: string[];
  /** Starts a server of this folder's, which ends with the bench. @throws Error where it does not start. */
  start(file: string): Promise<ServerProcess>;
  /** Starts a server that not everyone can have, and notes why where it is missing. */
  startPeer(name: string, start: () => Promise<ServerProcess>): Promise<ServerProcess | undefined>;
  /** Anything else that is to end with the bench. */
  atEnd(end: () => unknown): void;
  remove(): Promise<void>;
}

/** Starts Gatehouse over the embedded store and makes so many keys. */
export async function assemble(keys: number): Promise<Cast> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'));
  const gatehouse = await startGatehouse({ env: { GATEHOUSE_LOG_LEVEL: 'warn' } });
  const ends: (() => unknown)[] = [];
  const missing: string[] = [];
  const tokens = await makeTokens(gatehouse, keys);
  pin(gatehouse.pid);
  const one = tokens.slice(0, 1);
  const place = (name: string) => join(folder, name);
  return {
    gatehouse,
    pid: gatehouse.pid ?? 0,
    addr: { grpc: gatehouse.grpc, http: new URL(gatehouse.http).host },
    tokens,
    credential: `authorization: Bearer ${gatehouse.rootKey}`,
    folder,
    files: {
      one: writeVerifies(place('one'), one),
      all: writeVerifies(place('all'), tokens),
      oneStreamed: writeStreamVerifies(place('one-streamed'), one),
      allStreamed: writeStreamVerifies(place('all-streamed'), tokens),
    },
    missing,
    async start(file) {
      const server = await startFile(file);
      ends.push(server.stop);
      return server;
    },
    async startPeer(name, start) {
      try {
        const server = await start();
        ends.push(server.stop);
        return server;
      } catch (error) {
        missing.push(`${name}: ${error instanceof Error ? error.message : error}`);
        return undefined;
      }
    },
    atEnd: (end) => void ends.push(end),
    async remove() {
      for (const end of ends) await end();
      await gatehouse.remove();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
