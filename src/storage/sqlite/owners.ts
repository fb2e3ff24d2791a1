/** Pages of owners, by keyspace, kind and id. */

import type { OwnerFilter, OwnerPosition } from '../key-store.ts';
import type { Connection } from './connection.ts';
import type { GenerationRow } from './records.ts';

/** The first `limit` rows that pass the filter, behind `after`. */
export function ownerPage(
  file: Connection,
  { keyspaces, kind, disabled }: OwnerFilter,
  after: OwnerPosition | undefined,
  limit: number,
): GenerationRow[] {
  const state = disabled === undefined ? -1 : Number(disabled);
  const { keyspace: from = '', owner: behind = { kind: '', id: '' } } = after ?? {};
  if (keyspaces === undefined) {
    return file.rows('listOwners', from, behind.kind, behind.id, kind ?? '', state, limit);
  }
  const found: GenerationRow[] = [];
  // Ids of keyspaces are ASCII, which sorts here as it does in the index.
  for (const keyspace of [...new Set(keyspaces)].sort()) {
    if (found.length >= limit) break;
    if (keyspace < from) continue;
    const start = keyspace === from ? behind : { kind: '', id: '' };
    const rest = limit - found.length;
    if (kind === undefined) {
      found.push(
        ...file.rows<GenerationRow>('listOwnersOfKeyspace', keyspace, start.kind, start.id, state, rest),
      );
    } else if (start.kind <= kind) {
      const id = start.kind === kind ? start.id : '';
      found.push(...file.rows<GenerationRow>('listOwnersOfKind', keyspace, kind, id, state, rest));
    }
  }
  return found;
}
