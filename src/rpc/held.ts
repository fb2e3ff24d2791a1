/** What is held in memory for slow peers, over all connections: bodies that are still coming, answers that are not yet read. */

export interface HeldLimits {
  /** Things at once. */
  readonly count: number;
  readonly bytes: number;
}

/** A body follows its headers within milliseconds, so this many only wait where they are held back. */
export const BODIES: HeldLimits = { count: 2048, bytes: 64 * 1024 * 1024 };
/** As many of the largest as 16; small ones are with the operating system at once. */
export const ANSWERS: HeldLimits = { count: 8192, bytes: 64 * 1024 * 1024 };

export interface Held {
  /** It has so many bytes more. */
  grew(bytes: number): void;
  /** It is no longer held. */
  done(): void;
}

/**
 * Above the bounds the oldest is given up, not the one that came last: otherwise whoever has one key could keep all others out
 * by holding bodies back, or by reading no answer.
 */
export class HeldBytes {
  readonly #limits: HeldLimits;
  /** Oldest first. */
  readonly #held = new Map<Held, { bytes: number; readonly giveUp: () => void }>();
  #bytes = 0;

  constructor(limits: HeldLimits) {
    this.#limits = limits;
  }

  /** @param giveUp ends what it is held for; `done` may be called all the same. */
  begin(giveUp: () => void): Held {
    const entry = { bytes: 0, giveUp };
    const held = {
      grew: (bytes: number) => {
        if (!this.#held.has(held)) return;
        entry.bytes += bytes;
        this.#bytes += bytes;
        this.#shed();
      },
      done: () => this.#end(held),
    };
    this.#held.set(held, entry);
    this.#shed();
    return held;
  }

  #shed(): void {
    for (const [held, { giveUp }] of this.#held) {
      if (this.#held.size <= this.#limits.count && this.#bytes <= this.#limits.bytes) return;
      this.#end(held);
      giveUp();
    }
  }

  #end(held: Held): void {
    const entry = this.#held.get(held);
    if (entry === undefined) return;
    this.#held.delete(held);
    this.#bytes -= entry.bytes;
  }
}
