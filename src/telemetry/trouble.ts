/**
 * What goes wrong again and again, for the log: told at once, then once a minute for each kind of it for as long as it goes
 * on; and that it is over, where it had been told.
 */

/** Milliseconds. */
const REPEAT_MS = 60_000;

export interface TroubleWords {
  readonly tell: (error: unknown) => void;
  readonly over?: () => void;
}

export class Trouble {
  readonly #words: TroubleWords;
  readonly #now: () => number;
  #since = Number.NEGATIVE_INFINITY;
  /** Messages that were told in this minute. */
  readonly #told = new Set<string>();
  #open = false;

  /** @param now milliseconds; only differences count. */
  constructor(words: TroubleWords, now: () => number = () => performance.now()) {
    this.#words = words;
    this.#now = now;
  }

  happened(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    if (this.#now() - this.#since >= REPEAT_MS) {
      this.#since = this.#now();
      this.#told.clear();
    }
    if (this.#told.has(text)) return;
    this.#told.add(text);
    this.#open = true;
    this.#words.tell(error);
  }

  ended(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#words.over?.();
  }
}
