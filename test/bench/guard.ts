/** `npm run bench -- guard`: whether Verify has become dearer than the committed ratios say. Ends with 1 where it has. */

import { compareRatios, TOLERANCE } from './compare-ratios.ts';
import { measureRatios, type Ratios } from './ratios.ts';
import { readResults } from './table.ts';

/** @returns the exit code. */
export async function run(): Promise<number> {
  const { ratios: committed } = readResults<{ readonly ratios: Ratios }>('ratios');
  const compared = compareRatios(committed, await measureRatios());
  console.log(`${''.padEnd(44)} ${'committed'.padStart(9)} ${'now'.padStart(7)}`);
  for (const { name, before, now, worse } of compared) {
    const figures = `${before.toFixed(2).padStart(9)} ${now.toFixed(2).padStart(7)}`;
    console.log(`${name.padEnd(44)} ${figures}${worse ? '   WORSE' : ''}`);
  }
  console.log(`\nworse is what is more than ${100 * TOLERANCE} % below what was committed`);
  return compared.some(({ worse }) => worse) ? 1 : 0;
}
