/**
 * One change of a record at a time in this process: else a flood of small changes by the holder of a key could keep its
 * revocation from ever winning the compare-and-set. Nor may such a flood make a queue that a revocation stands behind: few
 * changes wait, and what takes something away goes before them.
 */

import { Failure, isUnavailable } from '../domain/failure.ts';

/** Changes of one record that wait: their callers may be gone by the time that they have their turn. */
const MAX_WAITING = 32;
/** Milliseconds that a change waits for its turn while the store does not answer those before it. */
const TURN_MS = 1000;
const RETRY_MS = 250;

interface Waiting {
  /** By `performance.now()`. */
  readonly asked: number;
  readonly turn: PromiseWithResolvers<void>;
}

/** What waits behind a change that is under way. */
interface Queue {
  readonly first: Waiting[];
  readonly others: Waiting[];
}

export class Turns {
  /** By the name of each record that is being changed. */
  readonly #queues = new Map<string, Queue>();

  /**
   * Makes a change when those before it have ended.
   *
   * @param first before those that are not, however many wait.
   * @throws Failure `exhausted` where too many wait, and what a change before it threw where the store is away.
   */
  async take<T>(record: string, first: boolean, change: () => Promise<T>): Promise<T> {
    const queue = this.#queues.get(record);
    if (queue === undefined) this.#queues.set(record, { first: [], others: [] });
    else await waitIn(queue, first);
    let failure: unknown;
    try {
      return await change();
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      this.#next(record, failure);
    }
  }

  #next(record: string, failure: unknown): void {
    const { first = [], others = [] } = this.#queues.get(record) ?? {};
    for (;;) {
      const next = first.shift() ?? others.shift();
      if (next === undefined) {
        this.#queues.delete(record);
        return;
      }
      // Else each would wait for a deadline of its own, one after the other, and the last ones past their callers'.
      if (!isUnavailable(failure) || performance.now() - next.asked <= TURN_MS) return next.turn.resolve();
      next.turn.reject(failure);
    }
  }
}

async function waitIn({ first, others }: Queue, goesFirst: boolean): Promise<void> {
  if (!goesFirst && others.length >= MAX_WAITING) {
    throw new Failure('exhausted', 'CHANGES_BUSY', 'too many changes of this record are waiting; try again', {
      retryAfterMs: RETRY_MS,
    });
  }
  const waiting: Waiting = { asked: performance.now(), turn: Promise.withResolvers<void>() };
  (goesFirst ? first : others).push(waiting);
  await waiting.turn.promise;
}
