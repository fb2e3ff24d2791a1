/**
 * Records of one kind in memory, for as long as a lease says that no change of them goes unseen.
 *
 * The rules, and what each is for:
 * - A load puts its record into memory only if nothing was dropped for its key since it began. Otherwise a load that
 *   read before a change, and ends after it, would put the old record back for good.
 * - A load is shared by later callers only as long as nothing was dropped for its key. Who calls after a change must
 *   not be given what was read before it, found or not.
 * - "Not there" is kept apart, for a short time: a flood of made-up keys pushes no good record out.
 * - A copy that is too old is read again, and given out still where the store cannot answer: nothing can be changed there.
 *   For as long as the store is known to be away, it is given out at once.
 * - What is given out is frozen, so all callers may share one object.
 */

import { LRUCache } from 'lru-cache';
import { isUnavailable } from '../../domain/failure.ts';
import type { StoreAbsence } from './absence.ts';
import { deepFreeze } from './freeze.ts';
import type { SharedRecord } from './shared.ts';

/** Keys of which it is remembered that they are not there. */
const MAX_ABSENT = 50_000;

export interface Ages<Value> {
  /** Milliseconds from its reading that a copy lives. */
  readonly maxAge: (value: Value) => number;
  /** Milliseconds for which it is remembered that a key is not there. */
  readonly absentAge: (key: string) => number;
  /** Milliseconds after the lease for which a copy may do where the store cannot answer. */
  readonly partitionBound: (value: Value) => number;
}

export interface Copy<Value> {
  readonly key: string;
  readonly value: Value;
  /** By `performance.now()`. */
  readonly readAt: number;
  /** No longer in memory: nothing that was made from it may be given out. */
  isGone?: true;
  /** What was made from it and others, by whoever knows whether it still holds (known.ts). */
  kept?: object;
}

type Loaded<Value> = SharedRecord<Value | undefined>;

export class RecordCache<Value extends object> {
  /** Answers from memory, for metrics. */
  hits = 0;
  /** Answers from the copies that replicas share. */
  shared = 0;
  /** Answers that had to be loaded from the store, or joined a load. */
  misses = 0;

  readonly #copies: LRUCache<string, Copy<Value>>;
  /** Until when it is remembered of a key, by `performance.now()`; made with the first, since most kinds never have one. */
  #absent: LRUCache<string, number> | undefined;
  readonly ages: Ages<Value>;
  readonly #store: StoreAbsence;
  /** The load of each key that may still be shared and kept: dropping one takes it out of here. */
  readonly #loads = new Map<string, Promise<Value | undefined>>();

  /** @param maxSize of all records kept, in characters of JSON; the one unused for longest goes first. */
  constructor(maxSize: number, ages: Ages<Value>, store: StoreAbsence) {
    this.#copies = new LRUCache({
      maxSize,
      sizeCalculation: ({ value }) => JSON.stringify(value).length,
      // Whenever one leaves, whatever for, another copy in its place included.
      dispose: (copy) => {
        copy.isGone = true;
      },
    });
    this.ages = ages;
    this.#store = store;
  }

  /** As `copyOf`, and is no use of it. */
  peekCopy(key: string): Copy<Value> | undefined {
    return this.#copies.peek(key);
  }

  /** The copy in memory, however old. Nobody else's copy is ever the same object. */
  copyOf(key: string): Copy<Value> | undefined {
    return this.#copies.get(key);
  }

  /** By `performance.now()`. */
  freshUntil({ value, readAt }: Copy<Value>): number {
    return readAt + this.ages.maxAge(value);
  }

  /** What is in memory, however old. */
  peek(key: string): Value | undefined {
    return this.#copies.peek(key)?.value;
  }

  /** What memory says: null where it is remembered that there is none, undefined where it has to be asked for. */
  look(key: string, now: number): Value | null | undefined {
    const copy = this.#copies.get(key);
    if (copy !== undefined && (now - copy.readAt < this.ages.maxAge(copy.value) || this.#store.away)) {
      this.hits++;
      return copy.value;
    }
    if (copy === undefined && (this.#absent?.get(key) ?? 0) > now) {
      this.hits++;
      return null;
    }
    return undefined;
  }

  get(key: string, read: () => Promise<Loaded<Value>>): Promise<Value | undefined> {
    const known = this.look(key, performance.now());
    if (known !== undefined) return Promise.resolve(known ?? undefined);
    return this.#loads.get(key) ?? this.#load(key, read);
  }

  #load(key: string, read: () => Promise<Loaded<Value>>): Promise<Value | undefined> {
    const load = read().then(
      ({ value, age, shared }) => {
        if (shared) this.shared++;
        else {
          this.misses++;
          this.#store.answered();
        }
        if (this.#end(key, load)) this.#keep(key, value, age);
        return deepFreeze(value);
      },
      (error: unknown) => {
        this.misses++;
        const mayStay = this.#end(key, load);
        if (!isUnavailable(error)) throw error;
        this.#store.failed();
        const old = mayStay ? this.#copies.get(key) : undefined;
        if (old === undefined) throw error;
        return old.value;
      },
    );
    this.#loads.set(key, load);
    return load;
  }

  #keep(key: string, value: Value | undefined, age: number): void {
    const now = performance.now();
    if (value !== undefined) {
      this.#copies.set(key, { key, value, readAt: now - age });
      return;
    }
    this.#copies.delete(key);
    const absentAge = this.ages.absentAge(key);
    if (absentAge <= 0) return;
    this.#absent ??= new LRUCache({ max: MAX_ABSENT });
    this.#absent.set(key, now + absentAge);
  }

  /** @returns whether nothing was dropped for the key since this load began. */
  #end(key: string, load: Promise<Value | undefined>): boolean {
    return this.#loads.get(key) === load && this.#loads.delete(key);
  }

  /** Forgets the key's record and disowns the load under way for it. */
  drop(key: string): void {
    this.#copies.delete(key);
    this.#absent?.delete(key);
    this.#loads.delete(key);
  }

  clear(): void {
    this.#copies.clear();
    this.#absent?.clear();
    this.#loads.clear();
  }
}
