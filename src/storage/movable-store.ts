/** What a store holds, record by record: what `gatehouse store copy` moves from one store to another. */

import type { AuditEvent } from '../domain/event.ts';
import type { Key, Secret, Usage } from '../domain/key.ts';
import type { Keyspace, Registry } from '../domain/keyspace.ts';
import type { KeyStore, UnpublishedRecord } from './key-store.ts';

/** Kinds of record, and what is moved of each. */
export interface Moved {
  readonly registry: Registry;
  readonly keyspace: Keyspace;
  /** With its pending events. */
  readonly key: Key;
  readonly secret: Secret;
  readonly usage: Usage & { readonly keyId: string };
  readonly event: { readonly record: UnpublishedRecord; readonly event: AuditEvent };
}

export type MovedKind = keyof Moved;

/** One record, and where it stands among those of its kind. */
export interface Placed<Kind extends MovedKind> {
  readonly record: Moved[Kind];
  /** Grows from record to record in this store's own order; means nothing to another store. */
  readonly position: string;
}

/** A store that may be moved; both promises hold while nobody else changes it. */
export interface MovableStore extends KeyStore {
  /**
   * All records of a kind, each once.
   * @param after goes on behind this position.
   */
  records<Kind extends MovedKind>(kind: Kind, after?: string): AsyncIterable<Placed<Kind>>;

  /** Writes records as they are, in place of those that have their ids. Safe to repeat. At most 1,000 at one time. */
  putRecords<Kind extends MovedKind>(kind: Kind, records: readonly Moved[Kind][]): Promise<void>;

  /** What the copy that is under way into this store has noted; a store with such a note serves nobody. */
  readCopyNote(): Promise<string | undefined>;

  /** Notes how far the copy has come, in place of the note before; undefined takes the note off. */
  writeCopyNote(note: string | undefined): Promise<void>;
}
