import { expect, test } from 'vitest';
import { compareRatios, TOLERANCE } from './compare-ratios.ts';

function worseOf(committed: Record<string, number>, measured: Record<string, number>): string[] {
  return compareRatios(committed, measured).flatMap(({ name, worse }) => (worse ? [name] : []));
}

test('the guard tells a ratio that fell by more than the tolerance, and no other', () => {
  const measured = {
    same: 2,
    better: 9,
    lower: 2 * (1 - TOLERANCE) + 0.01,
    worse: 2 * (1 - TOLERANCE) - 0.01,
  };
  expect(worseOf({ same: 2, better: 2, lower: 2, worse: 2 }, measured)).toEqual(['worse']);
});

test('the guard takes a ratio that could not be measured for a worse one', () => {
  expect(worseOf({ gone: 2, unknown: 2 }, { unknown: Number.NaN })).toEqual(['gone', 'unknown']);
});
