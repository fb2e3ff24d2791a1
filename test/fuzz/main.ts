/**
 * A long run against a service of its own:
 *
 *     npm run fuzz
 *     npm run fuzz -- 50000
 *     GATEHOUSE_TEST_SEED=123 npm run fuzz
 */

import { seedOf } from '../faults/coherence/random.ts';
import { Besieged } from '../support/besieged.ts';
import { fuzz } from './fuzz.ts';
import { summary } from './summary.ts';

const mutations = Number(process.argv[2] ?? 1_000_000);
const seed = seedOf();
console.info(`seed ${seed}`);
const besieged = await Besieged.start();
try {
  let told = performance.now();
  const progress = (count: number) => {
    if (performance.now() - told < 10_000) return;
    told = performance.now();
    console.info(`${count} of ${mutations}`);
  };
  const report = await fuzz(besieged, { seed, mutations, ms: Number.POSITIVE_INFINITY, progress });
  console.info(summary(report));
  const { before, after } = report;
  const grown = after.heap + after.external - before.heap - before.external;
  const left = grown > 24 || after.descriptors > before.descriptors + 2 || after.inFlight > 0;
  if (left) console.info('FAULT      something is left of it');
  process.exitCode = left || report.faults.length > 0 ? 1 : 0;
} finally {
  await besieged.remove();
}
