/** The collections of one database, with a deadline on each call and the driver's errors turned into ours. */

import type { MongoClient, ReadConcernLike, WriteConcernSettings } from 'mongodb';
import { storeUnavailable } from '../../domain/failure.ts';
import type { Collections } from './schema.ts';

/** Milliseconds that a call of each kind may take in all. */
export interface Deadlines {
  /** What a Verify reads. */
  readonly verify: number;
  /** A write of one document, or another read by `_id`. */
  readonly record: number;
  /** Lists and counts, which read many. */
  readonly list: number;
  /** What a copy reads or writes at one time. */
  readonly batch: number;
  /** What only starts and copies do, over whole collections. */
  readonly whole: number;
}

const DEADLINES: Deadlines = { verify: 500, record: 900, list: 5000, batch: 30_000, whole: 600_000 };

/** @param timeoutMs what the operator gives a call that reads or writes few documents: a server far away needs more. */
export function deadlinesWith(timeoutMs: number | undefined): Deadlines {
  if (timeoutMs === undefined) return DEADLINES;
  return {
    ...DEADLINES,
    verify: timeoutMs,
    record: timeoutMs,
    list: Math.max(DEADLINES.list, timeoutMs),
  };
}

/**
 * Milliseconds of silence after which a connection is given up. Nobody waits for its answer any more, and one that died without
 * a word would keep its place among `maxPoolSize` for a quarter of an hour.
 */
export function silenceOf({ list }: Deadlines): number {
  return list + 1000;
}

/** Acknowledged is what a majority has on disk. */
export function durable(wtimeoutMS: number): WriteConcernSettings {
  return { w: 'majority', journal: true, wtimeoutMS };
}

export class Connection {
  readonly collections: Collections;
  /**
   * For reads by `_id`. A primary that was voted out, and has not heard of it, still answers `majority` with what was
   * true before; `linearizable` makes it ask the others first. A server on its own has none to ask.
   */
  readonly fresh: { readonly readConcern?: ReadConcernLike };
  readonly deadlines: Deadlines;
  readonly #client: MongoClient;
  #closed = false;

  constructor(client: MongoClient, collections: Collections, replicated: boolean, deadlines: Deadlines) {
    this.#client = client;
    this.collections = collections;
    this.deadlines = deadlines;
    this.fresh = replicated ? { readConcern: { level: 'linearizable' } } : {};
  }

  /**
   * Does some work within a deadline. The driver has none for a call as a whole (its `timeoutMS` does nothing), so this waits
   * no longer, whatever the driver still does; the server is told as well, so that it gives up by then.
   *
   * @throws Failure `unavailable` for whatever goes wrong. A write may have been done all the same.
   */
  async within<Answer>(
    kind: keyof Deadlines,
    work: (limit: { readonly maxTimeMS: number }, late: AbortSignal) => Promise<Answer>,
  ): Promise<Answer> {
    const ms = this.deadlines[kind];
    const late = Promise.withResolvers<never>();
    const abandoned = new AbortController();
    const timer = setTimeout(() => {
      const error = new Error(`MongoDB gave no answer within ${ms} ms`);
      abandoned.abort(error);
      late.reject(error);
    }, ms);
    // The driver knows the second one by each command, though its types do not.
    const limit = { maxTimeMS: ms, socketTimeoutMS: Math.max(ms, silenceOf(this.deadlines)) };
    try {
      if (this.#closed) throw new Error('the store is closed');
      return await Promise.race([work(limit, abandoned.signal), late.promise]);
    } catch (error) {
      throw storeUnavailable(error);
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#client.close();
  }
}
