import { expect, test } from 'vitest';
import { Trouble } from '../../src/telemetry/trouble.ts';

/** Its lines, and a clock. */
function open() {
  const lines: string[] = [];
  const clock = { now: 5 };
  const words = { tell: (error: unknown) => lines.push(String(error)), over: () => lines.push('over') };
  const trouble = new Trouble(words, () => clock.now);
  return { lines, clock, trouble };
}

test('what comes again and again, in turn, is a line each in a minute', () => {
  const { lines, clock, trouble } = open();
  const storm = () => {
    for (let count = 0; count < 100; count++) {
      trouble.happened(new Error('timed out'));
      trouble.happened(new Error('refused'));
    }
  };
  storm();
  expect(lines).toEqual(['Error: timed out', 'Error: refused']);
  clock.now += 59_999;
  storm();
  expect(lines).toHaveLength(2);
  clock.now += 1;
  storm();
  expect(lines).toHaveLength(4);
});

test('that it is over is told once, and only where it was told', () => {
  const { lines, clock, trouble } = open();
  trouble.ended();
  trouble.happened(new Error('away'));
  trouble.ended();
  trouble.ended();
  expect(lines).toEqual(['Error: away', 'over']);
  // What comes and goes is not told each time.
  trouble.happened(new Error('away'));
  trouble.ended();
  expect(lines).toHaveLength(2);
  clock.now += 60_000;
  trouble.happened(new Error('away'));
  expect(lines).toHaveLength(3);
});
