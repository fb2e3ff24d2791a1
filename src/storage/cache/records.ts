/**
 * Records of one kind in memory, for a store that this process alone writes.
 *
 * The rules, and what each is for:
 * - A load puts its record into memory only if nothing was dropped for its key since it began. Otherwise a load that
 *   read before a change, and ends after it, would put the old record back for good.
 * - A load is shared by later callers only as long as nothing was dropped for its key. Who calls after a change must
 *   not be given what was read before it, found or not.
 * - "Not there" is never kept: a flood of made-up keys would push good records out.
 * - What is given out is frozen, so all callers may share one object.
 */

import { LRUCache } from 'lru-cache';
import { deepFreeze } from './freeze.ts';

export class RecordCache<Value extends object> {
  /** Answers from memory, for metrics. */
  hits = 0;
  /** Answers that had to be loaded, or joined a load. */
  misses = 0;

  readonly #records: LRUCache<string, Value>;
  /** The load of each key that may still be shared and kept: dropping one takes it out of here. */
  readonly #loads = new Map<string, Promise<Value | undefined>>();

  /** @param maxSize of all records kept, in characters of JSON; the one unused for longest goes first. */
  constructor(maxSize: number) {
    this.#records = new LRUCache({ maxSize, sizeCalculation: (record) => JSON.stringify(record).length });
  }

  get(key: string, read: () => Promise<Value | undefined>): Promise<Value | undefined> {
    const known = this.#records.get(key);
    if (known !== undefined) {
      this.hits++;
      return Promise.resolve(known);
    }
    this.misses++;
    return this.#loads.get(key) ?? this.#load(key, read);
  }

  #load(key: string, read: () => Promise<Value | undefined>): Promise<Value | undefined> {
    const load = read().then(
      (value) => {
        if (this.#end(key, load) && value !== undefined) this.#records.set(key, value);
        return deepFreeze(value);
      },
      (error: unknown) => {
        this.#end(key, load);
        throw error;
      },
    );
    this.#loads.set(key, load);
    return load;
  }

  /** @returns whether nothing was dropped for the key since this load began. */
  #end(key: string, load: Promise<Value | undefined>): boolean {
    return this.#loads.get(key) === load && this.#loads.delete(key);
  }

  /** Forgets the key's record and disowns the load under way for it. */
  drop(key: string): void {
    this.#records.delete(key);
    this.#loads.delete(key);
  }

  clear(): void {
    this.#records.clear();
    this.#loads.clear();
  }
}
