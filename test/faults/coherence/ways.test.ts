/** Which way a question takes. */

import { expect, test } from 'vitest';
import { Turns, type Way, waysOf } from './ways.ts';

test('each way has its turn in every three questions, and no rhythm of the questions meets one way alone', () => {
  const turns = new Turns(0, waysOf(''));
  const taken = Array.from({ length: 90 }, () => turns.next());
  for (let at = 0; at < taken.length; at += 3) expect(new Set(taken.slice(at, at + 3)).size).toBe(3);
  for (const rhythm of [2, 3, 4, 6, 9]) {
    const met = new Set<Way>(taken.filter((_, index) => index % rhythm === 0));
    expect(met.size, `every ${rhythm}th`).toBe(3);
  }
});

test('one that is named is the only one, and a name that is none is an error', () => {
  const turns = new Turns(0, waysOf('stream'));
  expect([turns.next(), turns.next()]).toEqual(['stream', 'stream']);
  expect(() => waysOf('grpc')).toThrow('json, unary, stream');
});
