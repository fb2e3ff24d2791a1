/** The right to answer from memory, for a while. */

/** Milliseconds after which a replica that was not heard of answers from memory no more. */
export const LEASE_MS = 1000;
/** The holder gives it up earlier than others count on it: two clocks never run quite alike. */
const HELD_MS = 0.8 * LEASE_MS;

/** A moment by both clocks of this process. */
export interface Moment {
  /** Stands still while the machine sleeps. */
  readonly monotonic: number;
  /** May be set back. */
  readonly wall: number;
}

/** Milliseconds; tests have their own. */
export interface Clocks {
  readonly monotonic: () => number;
  readonly wall: () => number;
}

export const CLOCKS: Clocks = { monotonic: () => performance.now(), wall: Date.now };

export class LeaseTerm {
  readonly #clocks: Clocks;
  #from: Moment | undefined;

  constructor(clocks: Clocks) {
    this.#clocks = clocks;
  }

  now(): Moment {
    return { monotonic: this.#clocks.monotonic(), wall: this.#clocks.wall() };
  }

  /** @param sent when the question was sent whose answer grants it: the answer may have been on its way for long. */
  grant(sent: Moment): void {
    this.#from = sent;
  }

  end(): void {
    this.#from = undefined;
  }

  get held(): boolean {
    return this.lostFor === 0;
  }

  /** Milliseconds since it ran out, by the clock by which more have passed; 0 while it is held, infinite before the first. */
  get lostFor(): number {
    if (this.#from === undefined) return Number.POSITIVE_INFINITY;
    const monotonic = this.#clocks.monotonic() - this.#from.monotonic;
    const wall = this.#clocks.wall() - this.#from.wall;
    return Math.max(0, Math.max(monotonic, wall) - HELD_MS);
  }
}
