/** Finishes changes whose process ended between the write and the publication of the audit event. */

import type { KeyStore } from '../storage/key-store.ts';

/** A change younger than this may still be at work. */
const GRACE_MS = 2000;
const BATCH = 1000;
/** Grace and interval together are below five seconds, within which a dead process's changes are finished. */
const INTERVAL_MS = 1000;

/**
 * Publishes the events that were left pending, at most a batch of them.
 *
 * @param before milliseconds since 1970; records written later are left alone.
 * @param onError told of a record whose events could not be published; the others are, and the next sweep tries again.
 */
export async function publishPending(
  store: KeyStore,
  before: number,
  onError: (error: unknown) => void,
): Promise<void> {
  for (const record of await store.listUnpublished(before, BATCH)) {
    await store.publishEvents(record).catch(onError);
  }
}

/** Sweeps every second until stopped. */
export class PendingSweep {
  readonly #timer: NodeJS.Timeout;
  #running: Promise<void> = Promise.resolve();

  constructor(store: KeyStore, now: () => number, onError: (error: unknown) => void) {
    this.#timer = setInterval(() => {
      this.#running = this.#running
        .then(() => publishPending(store, now() - GRACE_MS, onError))
        .catch(onError);
    }, INTERVAL_MS);
    this.#timer.unref();
  }

  /** Resolves when no sweep is at work any more. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }
}
