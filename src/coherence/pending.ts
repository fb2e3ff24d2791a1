/** Finishes changes whose process ended between the write and the publication of the audit event. */

import type { KeyStore, UnpublishedRecord } from '../storage/key-store.ts';
import type { Changes } from './changes.ts';

/** A change that was first seen so short a time ago may still be at work. Milliseconds. */
const GRACE_MS = 2000;
/** Grace and two intervals are below five seconds, within which a dead process's changes are finished. */
const INTERVAL_MS = 1000;
const BATCH = 1000;

/**
 * Publishes the events that were left pending, at most a batch of them.
 *
 * @param onError told of a record whose events could not be published; the others are, and the next sweep tries again.
 */
export async function publishPending(
  store: Pick<KeyStore, 'listUnpublished'>,
  changes: Pick<Changes, 'finish' | 'reachable'>,
  onError: (error: unknown) => void,
): Promise<void> {
  for (const record of await store.listUnpublished(BATCH)) {
    // Without the other replicas nothing can be finished: each record would be asked for in vain.
    if (!changes.reachable) return;
    await changes.finish(record).catch(onError);
  }
}

/** Sweeps every second until stopped. */
export class PendingSweep {
  readonly #store: Pick<KeyStore, 'listUnpublished'>;
  readonly #changes: Pick<Changes, 'finish' | 'reachable'>;
  readonly #now: () => number;
  readonly #onError: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  /** When each pending record was first seen: by this process's own clock, since another's may be off by hours. */
  #seen = new Map<string, number>();
  #running: Promise<void> | undefined;
  #away = false;
  #stopped = false;

  /**
   * @param now milliseconds; only differences count.
   * @param onError told of a record whose events could not be published, and once when the store begins not to answer.
   * @param onAnswered told once when it answers again.
   */
  constructor(
    store: Pick<KeyStore, 'listUnpublished'>,
    changes: Pick<Changes, 'finish' | 'reachable'>,
    now: () => number,
    onError: (error: unknown) => void,
    onAnswered: () => void = () => undefined,
  ) {
    this.#store = store;
    this.#changes = changes;
    this.#now = now;
    this.#onError = onError;
    this.#timer = setInterval(() => {
      // A store that is slow to fail must not leave a queue of sweeps behind.
      this.#running ??= this.#sweep()
        .then(
          () => {
            if (this.#away) onAnswered();
            this.#away = false;
          },
          (error: unknown) => {
            if (!this.#away) onError(error);
            this.#away = true;
          },
        )
        .finally(() => {
          this.#running = undefined;
        });
    }, INTERVAL_MS);
    this.#timer.unref();
  }

  /** Ends after the record that is being finished. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#running;
  }

  async #sweep(): Promise<void> {
    const now = this.#now();
    const before = this.#seen;
    const records = await this.#store.listUnpublished(BATCH);
    this.#seen = new Map(records.map((record) => [nameOf(record), before.get(nameOf(record)) ?? now]));
    for (const record of records) {
      if (this.#stopped || !this.#changes.reachable) return;
      if (now - (this.#seen.get(nameOf(record)) ?? now) < GRACE_MS) continue;
      await this.#changes.finish(record).catch(this.#onError);
    }
  }
}

function nameOf({ kind, id }: UnpublishedRecord): string {
  return `${kind} ${id}`;
}
