import { expect, test } from 'vitest';
import { riseOf } from './rise.ts';

test('the rise of a straight line is its whole rise to its mean', () => {
  expect(riseOf([90, 100, 110])).toBeCloseTo(0.2);
  expect(riseOf([110, 100, 90])).toBeCloseTo(-0.2);
});

test('noise that comes and goes alike is no rise, and neither is a single figure', () => {
  expect(riseOf([100, 120, 100, 120, 100])).toBeCloseTo(0);
  expect(riseOf([100])).toBe(0);
});

test('a leak shows through noise that is larger than what leaks each minute', () => {
  const leaking = Array.from({ length: 30 }, (_, minute) => 100 + minute + (minute % 2 === 0 ? 5 : -5));
  expect(riseOf(leaking)).toBeGreaterThan(0.2);
});
