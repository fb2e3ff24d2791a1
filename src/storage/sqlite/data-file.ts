/** Whether the data file is still the one that was opened. */

import { type BigIntStats, statSync } from 'node:fs';

/**
 * Remembers which file stands at the path. SQLite goes on with a file that was deleted or replaced, and whatever is
 * written to that is gone with the process.
 *
 * @returns a check that throws where the file is gone or another one stands in its place; the message is for the log.
 */
export function dataFileCheck(path: string): () => void {
  const opened = fileAt(path);
  return () => {
    const now = fileAt(path);
    if (now.ino !== opened.ino || now.dev !== opened.dev) {
      throw new Error(`the data file ${path} was replaced while it was open`);
    }
  };
}

// Only ever asked for by name: opening the file, and closing it again, would drop the lock that this process has on it.
function fileAt(path: string): BigIntStats {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined) throw new Error(`the data file ${path} was deleted while it was open`);
  return stats;
}
