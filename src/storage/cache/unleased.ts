/**
 * Reads without a lease. Each goes to the store, and is shared only by those who asked before it began. Where the store
 * cannot answer, what is in memory may do for as long as the keyspace trades so (`ON_PARTITION_AVAILABLE`).
 */

import { isUnavailable } from '../../domain/failure.ts';
import { SharedLoads } from './loads.ts';

/** Milliseconds until a store that could not answer is asked again: not each read shall wait for it. */
const RETRY_MS = 1000;

export class UnleasedReads {
  /** Answers by the store. */
  asked = 0;
  /** Answers from memory, since the store could not. */
  kept = 0;

  readonly #loads = new SharedLoads<unknown>();
  /** By `performance.now()`; 0: the store answered when it was asked last. */
  #awayUntil = 0;

  /**
   * @param kept what is in memory and may still do, asked for again after the store was.
   * @throws what `load` throws.
   */
  async get<Value>(
    name: string,
    load: () => Promise<Value | undefined>,
    kept: () => Value | undefined,
  ): Promise<Value | undefined> {
    if (this.#awayUntil > 0) {
      const now = performance.now();
      const known = kept();
      if (known !== undefined && now < this.#awayUntil) return this.#keeping(known);
      // This one asks; the others go on.
      this.#awayUntil = now + RETRY_MS;
    }
    try {
      const value = (await this.#loads.get(name, load)) as Value | undefined;
      this.#awayUntil = 0;
      this.asked++;
      return value;
    } catch (error) {
      const known = isUnavailable(error) ? kept() : undefined;
      if (known === undefined) throw error;
      this.#awayUntil = performance.now() + RETRY_MS;
      return this.#keeping(known);
    }
  }

  #keeping<Value>(known: Value): Value {
    this.kept++;
    return known;
  }
}
