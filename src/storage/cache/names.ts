/** What records are called among all that are cached. */

import type { OwnerRecord } from '../../domain/owner.ts';
import type { UnpublishedRecord } from '../key-store.ts';
import type { RecordName } from './shared.ts';

/** All keyspaces are one entry: they are few, and callers find them by what only the whole list shows. */
export const ALL = 'keyspaces';

/** What is known of an owner. That it has no record is kept as well: only owners of stored keys are asked for. */
export interface KnownOwner {
  readonly keyspace: string;
  readonly record: OwnerRecord | undefined;
}

/** A keyspace's id holds no slash, so no two secrets share a name. */
export function secretName(keyspace: string, lookup: string): RecordName {
  return `secret:${keyspace}/${lookup}`;
}

/** The name of the record that a change is about. */
export function recordName({ kind, id }: UnpublishedRecord): RecordName {
  return kind === 'keyspace' ? ALL : `${kind}:${id}`;
}

/** The keyspace in the name of a secret or an owner. */
export function keyspaceOf(name: string): string {
  return name.slice(name.indexOf(':') + 1, name.indexOf('/'));
}
