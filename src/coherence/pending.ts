/** Finishes changes whose process ended between the write and the publication of the audit event. */

import type { KeyStore } from '../storage/key-store.ts';

/** A change younger than this may still be at work. */
const GRACE_MS = 2000;
const BATCH = 100;

/**
 * Publishes the events that were left pending.
 *
 * @param before milliseconds since 1970; records written later are left alone.
 * @returns how many records were finished.
 */
export async function publishPending(store: KeyStore, before: number): Promise<number> {
  let finished = 0;
  for (;;) {
    const records = await store.listUnpublished(before, BATCH);
    for (const record of records) await store.publishEvents(record);
    finished += records.length;
    if (records.length < BATCH) return finished;
  }
}

/** Sweeps every two seconds until stopped. */
export class PendingSweep {
  readonly #timer: NodeJS.Timeout;
  #running: Promise<void> = Promise.resolve();

  constructor(store: KeyStore, now: () => number, onError: (error: unknown) => void) {
    this.#timer = setInterval(() => {
      this.#running = this.#running
        .then(() => publishPending(store, now() - GRACE_MS))
        .then(() => undefined, onError);
    }, GRACE_MS);
    this.#timer.unref();
  }

  /** Resolves when no sweep is at work any more. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }
}
