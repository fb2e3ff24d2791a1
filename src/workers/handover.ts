/**
 * Connections on their way to a worker. node:cluster keeps a connection open until the worker has said that it took it, and one
 * that dies before that never says so: its client would wait until the primary ends.
 */

import type { ChildProcess, SendHandle } from 'node:child_process';
import type { Worker } from 'node:cluster';

/** node:cluster waits for each answer before the next connection of a port, so more cannot be on their way. */
const PORTS = 2;

/** @returns closes what is on its way; to be called once the worker is gone. What it took is closed here already. */
export function watchHandover({ process }: Pick<Worker, 'process'>): () => void {
  const last: { close(): void }[] = [];
  const send = process.send as (...args: unknown[]) => boolean;
  process.send = ((message: unknown, handle?: SendHandle | null, ...rest: unknown[]) => {
    if (handle && 'close' in handle) {
      last.push(handle as { close(): void });
      if (last.length > PORTS) last.shift();
    }
    return send.call(process, message, handle, ...rest);
  }) as ChildProcess['send'];
  return () => {
    for (const handle of last.splice(0)) handle.close();
  };
}
