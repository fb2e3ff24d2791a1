/** Whether two stores hold the same. */

import type { RequestRecord } from '../../domain/request.ts';
import { MOVED_KINDS, type Moved, type MovedKind } from '../movable-store.ts';
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
  const now = Date.now();
  let read = 0;
  const digestOf = async (side: Side, kind: MovedKind) => {
    const digest = new RecordDigest();
    for await (const { records } of side.batches(kind)) {
      signal.throwIfAborted();
      for (const record of lasting(kind, records, now)) digest.add(record);
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

/** Without requests that have expired: each store drops those in its own time, also while it is read. */
function lasting<Kind extends MovedKind>(
  kind: Kind,
  records: readonly Moved[Kind][],
  now: number,
): readonly unknown[] {
  if (kind !== 'request') return records;
  return (records as readonly RequestRecord[]).filter(({ expireTime }) => expireTime > now);
}
