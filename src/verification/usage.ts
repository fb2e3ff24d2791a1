/** Counts VALID answers in memory and records them in batches, so that no Verify waits for a write. */

import { setTimeout as pause } from 'node:timers/promises';
import { randomText } from '../domain/token.ts';
import type { KeyStore, UsageBatch, UsageIncrement } from '../storage/key-store.ts';

const FLUSH_MS = 500;
/** Milliseconds for which the rest is tried to be recorded at the end. */
const GRACE_MS = 1000;
/** Keys with counts that are not recorded yet; past this a store that stays away would fill the memory. */
const MAX_KEYS = 1_000_000;

/** Counts that are being recorded: kept as they are until they were, since part of them may have been. */
interface Batch {
  readonly name: UsageBatch;
  readonly increments: readonly UsageIncrement[];
}

export class UsageRecorder {
  #counts = new Map<string, { -readonly [Field in keyof UsageIncrement]: UsageIncrement[Field] }>();
  #batch: Batch | undefined;
  #batches = 0;
  #flushing: Promise<void> = Promise.resolve();
  #idle = true;
  readonly #writer = randomText('base62', 12);
  readonly #store: KeyStore;
  readonly #onError: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  /** Answers that were not counted because the store was away too long. */
  dropped = 0;

  /** @param onError told when a batch could not be recorded; it is repeated until it is. */
  constructor(store: KeyStore, onError: (error: unknown) => void) {
    this.#store = store;
    this.#onError = onError;
    this.#timer = setInterval(() => {
      // A store that is slow to fail must not leave a queue of tries behind.
      if (this.#idle) this.flush().catch(onError);
    }, FLUSH_MS);
    this.#timer.unref();
  }

  /** Counts one VALID answer at `now` (milliseconds since 1970). */
  count(keyId: string, now: number): void {
    const known = this.#counts.get(keyId);
    if (known === undefined) {
      if (this.#counts.size >= MAX_KEYS) this.dropped++;
      else this.#counts.set(keyId, { keyId, count: 1, lastUsedTime: now });
      return;
    }
    known.count++;
    if (now > known.lastUsedTime) known.lastUsedTime = now;
  }

  /** Records what was counted so far. On failure nothing is lost. */
  async flush(): Promise<void> {
    this.#idle = false;
    const turn = this.#flushing.catch(() => undefined).then(() => this.#record());
    this.#flushing = turn;
    try {
      await turn;
    } finally {
      if (this.#flushing === turn) this.#idle = true;
    }
  }

  /**
   * Records the rest and stops. What fails is repeated, which counts nothing twice.
   *
   * @param graceMs milliseconds after which it is given up.
   * @returns how many uses are not known to be recorded.
   */
  async close(graceMs = GRACE_MS): Promise<number> {
    clearInterval(this.#timer);
    const over = Promise.withResolvers<true>();
    const timer = setTimeout(over.resolve, graceMs, true);
    const tried = () =>
      this.flush().then(
        () => true,
        (error: unknown) => {
          this.#onError(error);
          return false;
        },
      );
    while (!(await Promise.race([tried(), over.promise]))) {
      if (await Promise.race([pause(FLUSH_MS, false), over.promise])) break;
    }
    clearTimeout(timer);
    return this.#unrecorded();
  }

  #unrecorded(): number {
    const rest = [...(this.#batch?.increments ?? []), ...this.#counts.values()];
    return rest.reduce((sum, { count }) => sum + count, 0);
  }

  async #record(): Promise<void> {
    if (this.#batch !== undefined) await this.#send(this.#batch);
    if (this.#counts.size > 0)
      await this.#send({ name: `${this.#writer}:${++this.#batches}`, increments: this.#take() });
  }

  /** Where it fails, the batch goes first next time, under its name: the store knows what it has done of it. */
  async #send(batch: Batch): Promise<void> {
    this.#batch = batch;
    await this.#store.addUsage(batch.name, batch.increments);
    this.#batch = undefined;
  }

  #take(): UsageIncrement[] {
    const counts = [...this.#counts.values()];
    this.#counts = new Map();
    return counts;
  }
}
