/** Changes of records in the order in which they were made, for those who follow them: the latest ones, in memory. */

import type { LogEntry } from '../storage/redis/link.ts';

/** A change of one record. Its number is its place. */
export type Change = Omit<LogEntry, 'number'>;

/** A place among the changes: behind the one of this number, in one life of the log. */
export interface FeedPosition {
  readonly epoch: string;
  readonly number: number;
}

/** Changes that are kept, at least; the log in Redis keeps as many. Whoever is further behind has missed some. */
const KEPT = 10_000;

export class ChangeFeed {
  readonly #current: () => boolean;
  #epoch = '';
  /** Number of the last change that is not kept. */
  #before = 0;
  readonly #changes: Change[] = [];
  readonly #waiting = new Set<() => void>();

  /** @param current whether, at this moment, every change that was confirmed to anyone is in here. */
  constructor(current: () => boolean) {
    this.#current = current;
  }

  /** Whether every change that was confirmed to anyone is in here. */
  get current(): boolean {
    return this.#current();
  }

  /** Behind the last change. */
  get position(): FeedPosition {
    return { epoch: this.#epoch, number: this.#before + this.#changes.length };
  }

  append(changes: readonly Change[]): void {
    this.#changes.push(...changes);
    // By halves: to move all the others for each one that goes would take long.
    if (this.#changes.length > 2 * KEPT) {
      const gone = this.#changes.length - KEPT;
      this.#changes.splice(0, gone);
      this.#before += gone;
    }
    this.#tell();
  }

  /** Goes on at a place before which changes may have been missed. */
  restart({ epoch, number }: FeedPosition): void {
    this.#changes.length = 0;
    this.#epoch = epoch;
    this.#before = number;
    this.#tell();
  }

  /**
   * The changes behind a place, in order, at most so many; undefined where some of them may be gone. None for a place that
   * is yet to come here.
   */
  after({ epoch, number }: FeedPosition, limit: number): readonly Change[] | undefined {
    if (epoch !== this.#epoch || number < this.#before) return undefined;
    const begin = number - this.#before;
    return this.#changes.slice(begin, begin + limit);
  }

  /** Resolves once there is something else than this place, when the time (milliseconds) is over, and when the signal aborts. */
  moved(from: FeedPosition, ms: number, signal: AbortSignal): Promise<void> {
    const { epoch, number } = this.position;
    if (epoch !== from.epoch || number !== from.number || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#waiting.add(done);
      signal.addEventListener('abort', done);
    });
  }

  #tell(): void {
    for (const done of [...this.#waiting]) done();
  }
}
