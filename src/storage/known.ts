/** What can be said of records at once, without asking anything. */

import type { Key, Secret } from '../domain/key.ts';
import type { Keyspace } from '../domain/keyspace.ts';
import type { OwnerRecord } from '../domain/owner.ts';

/** Each read: the record, null where it is known that there is none, undefined where that has to be asked for. */
export interface KnownRecords {
  keyspaces(): readonly Keyspace[] | undefined;
  secret(keyspace: string, lookup: string): Secret | null | undefined;
  key(id: string): Key | null | undefined;
  /** By its `ownerId`. */
  owner(id: string): OwnerRecord | null | undefined;
}
