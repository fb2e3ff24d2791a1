/** Runs of `gatehouse store copy` that are interrupted, and stores with many keys to copy. */

import { spawn } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Document } from 'mongodb';
import { sha256 } from '../../src/domain/digest.ts';
import { builtInKeyspaces, type Keyspace } from '../../src/domain/keyspace.ts';
import { mintToken } from '../../src/domain/token.ts';
import { BATCH, type MovableStore } from '../../src/storage/movable-store.ts';
import { sampleEvent, sampleKey, sampleSecret, T0 } from '../conformance/samples.ts';
import { CHILD_ENV } from '../support/child-env.ts';
import { withDatabase } from '../support/mongodb.ts';
import type { Ended } from './run-cli.ts';

export const BIN = fileURLToPath(new URL('../../bin/gatehouse.js', import.meta.url));
const LOOK_EVERY = 5;

/** How many records the copy into this database has noted; undefined: there is no copy under way. */
export async function movedInto(uri: string): Promise<number | undefined> {
  const note = await withDatabase(uri, (database) =>
    database.collection<Document & { _id: string }>('meta').findOne({ _id: 'copy' }),
  );
  return note === null ? undefined : JSON.parse(note.note).moved;
}

/** Bytes of all files in a folder. */
export function bytesIn(folder: string): number {
  return readdirSync(folder).reduce(
    (sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}

export interface EndedCopy extends Ended {
  /** The signal that ended it. */
  readonly signal: NodeJS.Signals | null;
}

export interface Copying {
  /** Waits for a moment of the copy, or its end. */
  until(isTime: () => boolean | Promise<boolean>): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<EndedCopy>;
}

/** Starts a copy. */
export function startCopy(from: string, to: string): Copying {
  const child = spawn(process.execPath, [BIN, 'store', 'copy', '--from', from, '--to', to], {
    env: { ...CHILD_ENV },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    printed.stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    printed.stderr += chunk.toString();
  });
  return {
    async until(isTime) {
      while (child.exitCode === null && child.signalCode === null && !(await isTime())) {
        await setTimeout(LOOK_EVERY);
      }
    },
    kill: (signal) => child.kill(signal),
    ended: new Promise((resolve) => {
      child.once('close', (code, signal) => resolve({ code, signal, ...printed }));
    }),
  };
}

/** Starts a copy, and sends the signal as soon as `isTime` says so. */
export async function interruptedCopy(
  from: string,
  to: string,
  isTime: () => boolean | Promise<boolean>,
  signal: NodeJS.Signals = 'SIGKILL',
): Promise<EndedCopy> {
  const copying = startCopy(from, to);
  await copying.until(isTime);
  copying.kill(signal);
  return copying.ended;
}

/** Stores keys of the keyspace `default`, each with an event, every second with usage. @returns their tokens. */
export async function storeMany(store: MovableStore, count: number): Promise<string[]> {
  const keyspace = builtInKeyspaces(T0).find(({ id }) => id === 'default') as Keyspace;
  const tokens = Array.from({ length: count }, () => mintToken(keyspace));
  for (let start = 0; start < count; start += BATCH) {
    const made = tokens.slice(start, start + BATCH).map((token, index) => {
      const key = sampleKey({
        keyspace: keyspace.id,
        name: `key ${start + index}`,
        displayPrefix: token.slice(0, keyspace.displayLength),
        owner: { kind: 'user', id: `u${index}` },
      });
      return { key, secret: sampleSecret(key, { lookup: sha256(token) }) };
    });
    await store.putRecords(
      'secret',
      made.map(({ secret }) => secret),
    );
    await store.putRecords(
      'key',
      made.map(({ key }) => key),
    );
    await store.putRecords(
      'event',
      made.map(({ key }) => ({ record: { kind: 'key', id: key.id }, event: sampleEvent(key) })),
    );
    const used = made.filter((_, index) => index % 2 === 0);
    await store.putRecords(
      'usage',
      used.map(({ key }, index) => ({ keyId: key.id, count: index + 1, lastUsedTime: T0 })),
    );
  }
  return tokens;
}
