import { expect, test } from 'vitest';
import { pauseAfter } from '../../src/workers/pause.ts';

test('one death after a long life is made good at once, deaths in a row ever later, up to a bound', () => {
  expect(pauseAfter(60_000, 0)).toBe(0);
  const pauses = [0];
  for (let death = 0; death < 9; death++) pauses.push(pauseAfter(500, pauses.at(-1) ?? 0));
  expect(pauses.slice(1)).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  expect(pauseAfter(60_000, 10_000)).toBe(0);
});
