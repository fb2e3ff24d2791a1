/** Which Verify calls get a line. There may be tens of thousands a second, so the refused ones are bounded too. */

import type { Log } from './log.ts';

export type VerifyLogging = 'refused' | 'all' | 'none';

/** Lines of refused tokens a second; the rest is counted. */
const REFUSED_PER_SECOND = 100;

export interface VerifyLogOptions {
  readonly log: Log;
  readonly mode: VerifyLogging;
  /** Milliseconds on any clock that only goes forward. */
  readonly now: () => number;
  /** Calls back once, after so many milliseconds. */
  readonly later: (callback: () => void, ms: number) => void;
}

export class VerifyLog {
  readonly #options: VerifyLogOptions;
  #secondEnds = Number.NEGATIVE_INFINITY;
  #written = 0;
  #left = 0;

  constructor(options: VerifyLogOptions) {
    this.#options = options;
  }

  /** Whether there may be a line for such a token. */
  wants(refused: boolean): boolean {
    const { mode } = this.#options;
    return mode === 'all' || (mode === 'refused' && refused);
  }

  /** Logs the judging of one token, or not. */
  write(fields: object, refused: boolean): void {
    const { log, mode } = this.#options;
    if (!this.wants(refused)) return;
    if (mode === 'refused' && !this.#mayWrite()) return;
    log.info(fields, 'verify');
  }

  #mayWrite(): boolean {
    const now = this.#options.now();
    if (now >= this.#secondEnds) this.#beginSecond(now);
    if (this.#written < REFUSED_PER_SECOND) {
      this.#written++;
      return true;
    }
    // The count is told by a timer, so that it comes even if no other call does.
    if (this.#left === 0) this.#options.later(() => this.flush(), this.#secondEnds - now);
    this.#left++;
    return false;
  }

  #beginSecond(now: number): void {
    this.flush();
    this.#secondEnds = now + 1000;
    this.#written = 0;
  }

  /** Tells how many lines were left out since it was last told. Call it when the service stops, too. */
  flush(): void {
    if (this.#left === 0) return;
    this.#options.log.info({ left_out: this.#left }, 'more refused Verify calls than are logged');
    this.#left = 0;
  }
}

/** The timer for a running service: it does not keep the process alive. */
export function unrefTimer(callback: () => void, ms: number): void {
  setTimeout(callback, ms).unref();
}
