/** What a cache needs from whoever keeps it true: whether it may be believed, and copies that replicas share. */

/** Names a record among all that are cached. */
export type RecordName = `key:${string}` | `owner:${string}` | `secret:${string}` | 'keyspaces';

/** Tells whether what is in memory may be given out. Asked for each read. */
export interface Lease {
  readonly held: boolean;
  /** Milliseconds since it ran out; 0 while it is held, infinite where there was none. */
  readonly lostFor: number;
  /** The life of the shared copies in which reads are now; another one never sees them. */
  readonly epoch: string;
}

/** This process alone writes the store, and drops what it writes. */
export const ALONE: Lease = { held: true, lostFor: 0, epoch: '' };
/** Others write, and nobody tells of it. */
export const BLIND: Lease = { held: false, lostFor: Number.POSITIVE_INFINITY, epoch: '' };

export interface SharedRecord<Value> {
  readonly value: Value;
  /** Milliseconds since it was read from the store, at most. */
  readonly age: number;
  /** Whether it was a copy that is shared, rather than the store's. */
  readonly shared: boolean;
}

/** Copies of records that all replicas share. */
export interface SharedRecords {
  /**
   * The shared copy, else what `load` gives, which is then left for the others.
   *
   * @param maxAge milliseconds that a copy of this record may live.
   * @throws what `load` throws.
   */
  read<Value>(
    epoch: string,
    record: RecordName,
    maxAge: (value: Value) => number,
    load: () => Promise<Value>,
  ): Promise<SharedRecord<Value>>;
}
