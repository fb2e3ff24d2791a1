/** What a start does with the store, which may be slow while other processes start on it as well. */

import { setTimeout } from 'node:timers/promises';
import { isUnavailable } from '../domain/failure.ts';

/** As long as a start waits for a server that is not there yet. */
const PATIENCE_MS = 10_000;
const PAUSE_MS = 100;

/** Does some work again while the store does not answer. @param work that may be done twice. */
export async function patiently<Result>(work: () => Promise<Result>): Promise<Result> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isUnavailable(error) || performance.now() > end) throw error;
      await setTimeout(PAUSE_MS);
    }
  }
}
