/** What a store holds, record by record: what `gatehouse store copy` moves from one store to another. */

import type { AuditEvent } from '../domain/event.ts';
import type { Key, Secret, Usage } from '../domain/key.ts';
import type { Keyspace, Registry } from '../domain/keyspace.ts';
import type { OwnerRecord } from '../domain/owner.ts';
import type { RequestRecord } from '../domain/request.ts';
import type { KeyStore, UnpublishedRecord } from './key-store.ts';

/** Kinds of record, and what is moved of each. */
export interface Moved {
  readonly registry: Registry;
  /** With its pending events, as an owner and a key. */
  readonly keyspace: Keyspace;
  readonly owner: OwnerRecord;
  readonly key: Key;
  readonly secret: Secret;
  readonly usage: Usage & { readonly keyId: string };
  readonly event: { readonly record: UnpublishedRecord; readonly event: AuditEvent };
  /** Expired ones too, as long as the store has them. */
  readonly request: RequestRecord;
}

export type MovedKind = keyof Moved;

/** In the order in which they are moved. */
export const MOVED_KINDS = [
  'registry',
  'keyspace',
  'owner',
  'secret',
  'key',
  'usage',
  'event',
  'request',
] as const satisfies readonly MovedKind[];

/** Records that are read or written at one time: few enough for the memory, and for one deadline. */
export const BATCH = 500;

/** Some records of one kind, next to each other in this store's own order. */
export interface Batch<Kind extends MovedKind> {
  readonly records: readonly Moved[Kind][];
  /** Where the last of them stands. Means nothing to another store. */
  readonly position: string;
}

/** A store that may be moved. What is promised of it holds while nobody else changes the store. */
export interface MovableStore extends KeyStore {
  /**
   * All records of a kind, each once, at most `BATCH` at one time.
   * @param after goes on behind this position, which need not be there any more.
   */
  batches<Kind extends MovedKind>(kind: Kind, after?: string): AsyncIterable<Batch<Kind>>;

  /** About how many records there are of each kind: to show how far a copy is, no proof of anything. */
  estimateRecords(): Promise<Readonly<Record<MovedKind, number>>>;

  /**
   * Writes records as they are, in place of those that have their ids and no higher revision: what was changed since may
   * stay, as it must where others can write. Safe to repeat. At most `BATCH` at one time.
   */
  putRecords<Kind extends MovedKind>(kind: Kind, records: readonly Moved[Kind][]): Promise<void>;

  /** What the copy that is under way into this store has noted; a store with such a note serves nobody. */
  readCopyNote(): Promise<string | undefined>;

  /**
   * Notes how far the copy has come, in place of the note before; undefined takes the note off. Where it is there after
   * a crash or a power failure, so is what `putRecords` wrote before it.
   * @param before the note that is there; undefined: none ever was.
   * @returns false where another one is there: another copy has taken over, or is done.
   */
  writeCopyNote(note: string | undefined, before: string | undefined): Promise<boolean>;
}

/** What an opening asks for besides a store that can serve. */
export interface OpenOptions {
  /** Only a store that is there already: nothing is made. */
  readonly existing?: boolean;
  /** Also one into which a copy was begun and not finished. */
  readonly unfinished?: boolean;
}
