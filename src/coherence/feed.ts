/** Changes of records in the order in which they were made, for those who follow them: the latest ones, in memory. */

import { setImmediate } from 'node:timers/promises';
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
/** Changes that a follower takes at one time. */
export const PAGE = 100;
/** Milliseconds from one waking of the followers to the next, at least: each looks at its caller again, and encodes. */
const WAKE_MS = 25;
/** What the followers woken in one turn of the event loop may cost, by changes to tell; waking costs about two. */
const SLICE = 50;
const WAKE_COST = 2;

interface Follower {
  readonly from: FeedPosition;
  readonly wake: () => void;
}

export class ChangeFeed {
  readonly #current: () => boolean;
  #epoch = '';
  /** Number of the last change that is not kept. */
  #before = 0;
  readonly #changes: Change[] = [];
  readonly #waiting = new Set<Follower>();
  #waking = false;
  /** By `performance.now()`. */
  #wokenAt = Number.NEGATIVE_INFINITY;

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
    this.#wakeSoon();
  }

  /** Goes on at a place before which changes may have been missed. */
  restart({ epoch, number }: FeedPosition): void {
    this.#changes.length = 0;
    this.#epoch = epoch;
    this.#before = number;
    this.#wakeSoon();
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

  /**
   * Resolves once there is something else than this place, when the time (milliseconds) is over, and when the signal aborts.
   * Followers are woken together, at most every 25 ms, and few in each turn of the event loop: however many they are, and
   * however much is changed, Verifies and the lease have theirs between.
   */
  moved(from: FeedPosition, ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiting.delete(follower);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      const follower: Follower = { from, wake };
      // Who is behind is woken with the others: by its time it would come past the slices, over and over.
      const behind = this.#hasMoved(from);
      const timer = behind ? undefined : setTimeout(wake, Math.max(0, ms));
      this.#waiting.add(follower);
      signal.addEventListener('abort', wake);
      if (behind) this.#wakeSoon();
    });
  }

  #hasMoved(from: FeedPosition): boolean {
    const { epoch, number } = this.position;
    return epoch !== from.epoch || number !== from.number;
  }

  #wakeSoon(): void {
    if (this.#waking || this.#waiting.size === 0) return;
    this.#waking = true;
    setTimeout(() => void this.#wake(), Math.max(0, this.#wokenAt + WAKE_MS - performance.now()));
  }

  async #wake(): Promise<void> {
    this.#wokenAt = performance.now();
    let cost = 0;
    // Who waits again meanwhile is for the next time.
    for (const follower of [...this.#waiting]) {
      if (!this.#waiting.has(follower) || !this.#hasMoved(follower.from)) continue;
      const behind = Math.abs(this.position.number - follower.from.number);
      follower.wake();
      cost += WAKE_COST + Math.min(behind, PAGE);
      if (cost < SLICE) continue;
      cost = 0;
      await setImmediate();
    }
    this.#waking = false;
    for (const { from } of this.#waiting) {
      if (this.#hasMoved(from)) return this.#wakeSoon();
    }
  }
}
