/**
 * The system of record, as the rest of Gatehouse sees it. Each promise is written on its method, and
 * `test/conformance/key-store.ts` holds every store to every one of them.
 *
 * Promises of all methods:
 * - Durable: what a resolved promise reported survives `kill -9` of this process.
 * - Atomic: one record is changed as a whole or not at all; there are no changes over several records.
 * - Honest: a store that cannot answer rejects with a Failure of kind `unavailable`. It never answers "not there" when it
 *   could not look. A write that was rejected may have been done all the same, or may still be done.
 * - Bounded: what a Verify reads (`listKeyspaces`, `findSecret`, `getKey`, `getOwner`) is answered or rejected within 500 ms, other
 *   calls within a second for each record that they change, lists and counts within five seconds.
 * - Fresh: a read that starts after a write was acknowledged, by whichever process, sees it. (Usage, events and the list of
 *   unpublished records may lag right after another server has taken over.)
 * - Records are given and taken as plain values; changing one after the call changes nothing stored.
 */

import type { AuditEvent } from '../domain/event.ts';
import type { Key, KeyState, Owner, Secret, Usage } from '../domain/key.ts';
import type { Keyspace, Registry } from '../domain/keyspace.ts';
import type { OwnerRecord } from '../domain/owner.ts';
import type { RequestName, RequestRecord } from '../domain/request.ts';

/** Which keys to list. Fields that are absent do not filter, an empty list finds nothing; time bounds are [after, before) in milliseconds. */
export interface KeyFilter {
  /** Only keys of these keyspaces. */
  readonly keyspaces?: readonly string[];
  readonly owner?: Owner;
  /** Empty: only keys that are bound to no project. */
  readonly project?: string;
  readonly states?: readonly KeyState[];
  /** Part of the name, compared in lower case (`toLowerCase` of both, no locale). */
  readonly nameContains?: string;
  /** The whole display prefix. */
  readonly displayPrefix?: string;
  readonly createdAfter?: number;
  readonly createdBefore?: number;
  /** Leaves out keys that were never used. */
  readonly lastUsedAfter?: number;
  /** Without `lastUsedAfter`, keys that were never used as well: "idle since". */
  readonly lastUsedBefore?: number;
  /** A key that never expires is in no expiry range. */
  readonly expiresAfter?: number;
  readonly expiresBefore?: number;
}

/** A place in a listing: the key after which it goes on. */
export interface KeyPosition {
  readonly createTime: number;
  readonly id: string;
}

export interface KeyPage {
  readonly filter: KeyFilter;
  /** 1 or more. */
  readonly limit: number;
  readonly after?: KeyPosition;
  /** The moment at which states are judged. */
  readonly now: number;
}

export interface ListedKey {
  readonly key: Key;
  readonly usage: Usage | undefined;
}

/** VALID answers of one key since the last time that they were recorded. */
export interface UsageIncrement {
  readonly keyId: string;
  readonly count: number;
  readonly lastUsedTime: number;
}

/** Writer and number: both the writer's own, the writer random, of 8 characters or more without a colon. */
export type UsageBatch = `${string}:${number}`;

/** A record that still carries events which were not published. */
export type UnpublishedRecord = { readonly kind: 'key' | 'keyspace' | 'owner'; readonly id: string };

/** A record with generations (see domain/generation.ts). */
export type GenerationRecord = { readonly kind: 'keyspace' | 'owner'; readonly id: string };

/** Which owners to list. Fields that are absent do not filter, an empty list finds nothing. */
export interface OwnerFilter {
  /** Only owners of these keyspaces. */
  readonly keyspaces?: readonly string[];
  readonly kind?: string;
  readonly disabled?: boolean;
}

/** A place in a listing of owners: the one after which it goes on. */
export type OwnerPosition = Pick<OwnerRecord, 'keyspace' | 'owner'>;

/** How many keys there are. */
export interface KeyCounts {
  readonly total: number;
  readonly active: number;
  readonly revoked: number;
}

export interface KeyStore {
  /** The registry; one exists from the store's first opening, at revision 1, with a random `macKey`. */
  readRegistry(): Promise<Registry>;

  /**
   * Writes the registry if its stored revision is still `next.revision - 1`.
   * @returns whether it was written.
   */
  replaceRegistry(next: Registry): Promise<boolean>;

  /** All keyspaces, by id. */
  listKeyspaces(): Promise<readonly Keyspace[]>;

  /**
   * Adds a keyspace.
   * @returns false where one with its id exists; nothing is changed then.
   */
  insertKeyspace(keyspace: Keyspace): Promise<boolean>;

  /**
   * Compare-and-set: writes the keyspace if its stored revision is still `next.revision - 1`.
   * @returns whether it was written. Of several writers of one revision exactly one wins.
   */
  replaceKeyspace(next: Keyspace): Promise<boolean>;

  /** The secret with this lookup in this keyspace, in whatever state its key is. */
  findSecret(keyspace: string, lookup: string): Promise<Secret | undefined>;

  /** The key with this id, in whatever state. */
  getKey(id: string): Promise<Key | undefined>;

  /**
   * Adds a key and its secret. Once resolved, both are there; after a crash, at most the secret is, and a
   * secret without a key opens nothing.
   * @returns false where a key with this id, or another secret with this lookup in this keyspace, exists; nothing is
   * changed then. This very secret (same key, same generation) may be there, left by a crash.
   */
  insertKey(key: Key, secret: Secret): Promise<boolean>;

  /**
   * Adds a further secret of a key. It opens nothing before the key accepts its generation.
   * @returns false where a secret with this lookup exists in this keyspace; nothing is changed then.
   */
  insertSecret(secret: Secret): Promise<boolean>;

  /**
   * Compare-and-set: writes the key, `pending` as given, if its stored revision is still `next.revision - 1`.
   * @returns whether it was written. Of several writers of one revision exactly one wins.
   */
  replaceKey(next: Key): Promise<boolean>;

  /** The record of an owner, by its `ownerId`; undefined where there is none. */
  getOwner(id: string): Promise<OwnerRecord | undefined>;

  /** Those of the owners that have a record, by their ids. */
  readOwners(ids: readonly string[]): Promise<ReadonlyMap<string, OwnerRecord>>;

  /**
   * Adds an owner's record.
   * @returns false where one with its id exists; nothing is changed then.
   */
  insertOwner(owner: OwnerRecord): Promise<boolean>;

  /**
   * Compare-and-set: writes the owner's record, `pending` as given, if its stored revision is still `next.revision - 1`.
   * @returns whether it was written. Of several writers of one revision exactly one wins.
   */
  replaceOwner(next: OwnerRecord): Promise<boolean>;

  /** Owners that pass the filter, by keyspace, kind and id, each compared byte by byte, behind `after`. */
  listOwners(filter: OwnerFilter, after: OwnerPosition | undefined, limit: number): Promise<OwnerRecord[]>;

  /** Owners whose record is `unmarked`, at most `limit`. */
  listUnmarkedOwners(limit: number): Promise<OwnerRecord[]>;

  /** Takes `unmarked` off, where the record's generation is still this one. Its revision stays. */
  finishMarking(record: GenerationRecord, generation: number): Promise<void>;

  /**
   * Keys that pass the filter, newest first: by `createTime`, then by `id`, both falling. Walking on with the last key
   * of each page as `after` meets each key that existed at the walk's start, and passes the filter, exactly once,
   * whatever is created meanwhile.
   */
  listKeys(page: KeyPage): Promise<ListedKey[]>;

  /** Keys that this key made, or rotated last (`parentKeyId`), by id, behind `after`, at most `limit`. */
  listChildren(parentKeyId: string, after: string | undefined, limit: number): Promise<Key[]>;

  /** Notes a request. @returns false where one with its id is noted, expired or not; nothing is changed then. */
  insertRequest(request: RequestRecord): Promise<boolean>;

  /** The noted request of this id. One that expired a day ago or longer may be gone. */
  readRequest(id: string): Promise<RequestRecord | undefined>;

  /** Notes that the request was done, where what is noted under its id has its expireTime. Else nothing happens. */
  finishRequest(request: RequestName): Promise<void>;

  /** Forgets the request, where what is noted under its id has its expireTime. Else nothing happens. */
  releaseRequest(request: RequestName): Promise<void>;

  /**
   * How many keys pass the filter without regard to `states`, and how many of them are active and revoked at `now`, going
   * by the keys' records alone.
   */
  countKeys(filter: KeyFilter, now: number): Promise<KeyCounts>;

  /** The ids of all peppers that a stored secret was hashed under, whatever became of its key. */
  listPeppers(): Promise<string[]>;

  /**
   * How many keys that are neither revoked nor expired at `now` accept a secret under this pepper, the previous one
   * included. Takes its time.
   */
  countKeysUnder(pepperId: string, now: number): Promise<number>;

  /** Records with unpublished events, oldest first by `updateTime`, at most `limit`. */
  listUnpublished(limit: number): Promise<UnpublishedRecord[]>;

  /**
   * Copies the record's pending events to the audit trail, then takes off those that were copied. Safe to repeat, and
   * to run twice at once: each event is in the trail once. The record's revision stays. No such record: nothing happens.
   *
   * @param upTo only events of this revision and of those before it; left out: all.
   */
  publishEvents(record: UnpublishedRecord, upTo?: number): Promise<void>;

  /** Published events of one record, oldest first by revision. */
  listEvents(record: UnpublishedRecord): Promise<AuditEvent[]>;

  /**
   * Adds to the keys' counts and moves their last use forward (never back). Moves no revision.
   * @param batch names the increments: a call that was rejected may be repeated under the same name, and then adds only
   *   what the first one did not. A writer goes on to its next batch only when the last one was resolved, and of each key
   *   the batches of the last 32 writers are known.
   */
  addUsage(batch: UsageBatch, increments: readonly UsageIncrement[]): Promise<void>;

  /** Usage of those of the keys that were ever used. */
  readUsage(keyIds: readonly string[]): Promise<ReadonlyMap<string, Usage>>;

  /** Resolves if the store can answer and write now. */
  ping(): Promise<void>;

  /** Frees what the store holds; a second time does nothing. Other calls after it are rejected as `unavailable`. */
  close(): Promise<void>;
}
