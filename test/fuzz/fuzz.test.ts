/** A short run; `npm run fuzz` makes a long one. */

import { expect, test } from 'vitest';
import { seedOf } from '../faults/coherence/random.ts';
import { Besieged } from '../support/besieged.ts';
import { fuzz } from './fuzz.ts';
import { summary } from './summary.ts';

const SHORT_MS = 6000;
/** MiB of live memory that may be left of a run, and of resident memory that it may need. */
const LEFT_MIB = 24;
const PEAK_MIB = 250;

test('mutated frames, bodies and streams crash nothing, are never accepted, and leave nothing behind', async () => {
  const besieged = await Besieged.start();
  try {
    const { token } = besieged;
    // With a good token among those that must be refused, each kind of conversation has to see it accepted.
    for (const only of ['calls', 'questions', 'framedQuestions', 'http1'] as const) {
      const seen = await fuzz(besieged, { seed: 1, mutations: 5000, ms: 5000, refused: [token], only });
      expect([only, seen.faults.join()]).toEqual([only, expect.stringContaining('accepted')]);
    }

    const report = await fuzz(besieged, {
      seed: seedOf(),
      mutations: Number.POSITIVE_INFINITY,
      ms: SHORT_MS,
    });
    console.info(summary(report));
    expect(report.faults).toEqual([]);
    expect(report.total).toBeGreaterThan(1000);
    expect(report.answers).toBeGreaterThan(100);
    expect(report.owed).toBeGreaterThan(20);
    expect(report.siege.peakGrowth).toBeLessThan(PEAK_MIB);
    expect(report.siege.heapGrowth).toBeLessThan(LEFT_MIB);
    expect(report.after.descriptors).toBeLessThanOrEqual(report.before.descriptors + 2);
    expect(report.after.inFlight).toBe(0);
    expect(await besieged.gatehouse.stop()).toBe(0);
  } finally {
    await besieged.remove();
  }
}, 120_000);
