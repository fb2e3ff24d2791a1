/** What can be said of records at once, without asking anything. */

import type { Key, Secret } from '../domain/key.ts';
import type { Keyspace } from '../domain/keyspace.ts';
import type { OwnerRecord } from '../domain/owner.ts';

/**
 * Records in memory, for one synchronous pass over them. Each read: the record, null where it is known that there is none,
 * undefined where that has to be asked for.
 */
export interface KnownRecords {
  /** Begins a pass, which ends with the turn. False: nothing may be taken from memory now. */
  begin(): boolean;
  keyspaces(): readonly Keyspace[] | undefined;
  secret(keyspace: string, lookup: string): Secret | null | undefined;
  key(id: string): Key | null | undefined;
  /** By its `ownerId`. */
  owner(id: string): OwnerRecord | null | undefined;
  /** What was kept with a secret, where it holds. */
  kept(keyspace: string, lookup: string): object | undefined;
  /** Keeps what was made from a secret, its key, the key's owner (undefined: none was asked for) and the keyspaces. */
  keep(secret: Secret, ownerId: string | undefined, what: object): void;
  /** Whether something that was kept was made from what memory would give now. */
  holds(what: object): boolean;
}
