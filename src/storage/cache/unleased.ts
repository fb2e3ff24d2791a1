/**
 * Reads without a lease. Each goes to the store, and is shared only by those who asked before it began. Where the store
 * cannot answer, what is in memory may do for as long as the keyspace trades so (`ON_PARTITION_AVAILABLE`).
 */

import { isUnavailable } from '../../domain/failure.ts';
import type { StoreAbsence } from './absence.ts';
import { SharedLoads } from './loads.ts';

export class UnleasedReads {
  /** Answers by the store. */
  asked = 0;
  /** Answers from memory, since the store could not. */
  kept = 0;

  readonly #loads = new SharedLoads<unknown>();
  readonly #store: StoreAbsence;

  constructor(store: StoreAbsence) {
    this.#store = store;
  }

  /**
   * @param kept what is in memory and may still do, asked for again after the store was.
   * @throws what `load` throws.
   */
  async get<Value>(
    name: string,
    load: () => Promise<Value | undefined>,
    kept: () => Value | undefined,
  ): Promise<Value | undefined> {
    if (this.#store.away) {
      const known = kept();
      if (known !== undefined) return this.#keeping(known);
    }
    try {
      const value = (await this.#loads.get(name, load)) as Value | undefined;
      this.#store.answered();
      this.asked++;
      return value;
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      this.#store.failed();
      const known = kept();
      if (known === undefined) throw error;
      return this.#keeping(known);
    }
  }

  #keeping<Value>(known: Value): Value {
    this.kept++;
    return known;
  }
}
