/** Whether two stores hold the same. */

import { MOVED_KINDS, type MovedKind } from '../movable-store.ts';
import { RecordDigest } from './digest.ts';
import { type CopyOptions, sum } from './progress.ts';
import type { Side } from './side.ts';

/** What both stores hold of one kind. */
export interface Comparison {
  readonly kind: MovedKind;
  readonly source: RecordDigest;
  readonly target: RecordDigest;
}

export function isSame({ source, target }: Comparison): boolean {
  return source.count === target.count && source.digest === target.digest;
}

/** Reads both stores through, anew. */
export async function compare(
  from: Side,
  to: Side,
  { signal, onProgress }: CopyOptions,
): Promise<Comparison[]> {
  const total = 2 * sum(await from.do((store) => store.estimateRecords()));
  let read = 0;
  const digestOf = async (side: Side, kind: MovedKind) => {
    const digest = new RecordDigest();
    for await (const { records } of side.batches(kind)) {
      signal.throwIfAborted();
      for (const record of records) digest.add(record);
      read += records.length;
      onProgress('verifying', read, total);
    }
    return digest;
  };
  const found: Comparison[] = [];
  for (const kind of MOVED_KINDS) {
    const [source, target] = await Promise.all([digestOf(from, kind), digestOf(to, kind)]);
    found.push({ kind, source, target });
  }
  return found;
}
