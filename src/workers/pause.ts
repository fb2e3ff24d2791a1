/** How long a worker's place stays empty after it died. */

/** One that ran for so long did not die of its start. */
const STEADY_MS = 10_000;
const FIRST_MS = 100;
const MOST_MS = 10_000;

/**
 * Milliseconds until a worker is replaced: none where it had run for a while, so that a single death costs little; twice as long
 * each time where it dies soon after its start, so that what cannot run does not keep the machine from what can.
 *
 * @param lived milliseconds that the one that died had run.
 * @param before the pause before it was started.
 */
export function pauseAfter(lived: number, before: number): number {
  if (lived >= STEADY_MS) return 0;
  return Math.min(Math.max(FIRST_MS, 2 * before), MOST_MS);
}
