import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { makePageToken, readPageToken } from '../../src/keys/page-token.ts';

const REFUSAL = 'must be the next_page_token';
const KEY = Buffer.alloc(32, 1).toString('base64url');
const position = fc.record({ createTime: fc.nat(), id: fc.string({ minLength: 1 }) });
const listing = fc.jsonValue();

describe('page tokens', () => {
  test('give back the place that they were made for', () => {
    fc.assert(
      fc.property(listing, position, (one, place) => {
        expect(readPageToken(KEY, one, makePageToken(KEY, one, place))).toEqual(place);
      }),
    );
  });

  test('of another listing or another store stand for nothing', () => {
    const other = Buffer.alloc(32, 2).toString('base64url');
    fc.assert(
      fc.property(listing, listing, position, (one, another, place) => {
        const token = makePageToken(KEY, one, place);
        expect(() => readPageToken(other, one, token)).toThrow(REFUSAL);
        if (JSON.stringify(one) !== JSON.stringify(another))
          expect(() => readPageToken(KEY, another, token)).toThrow(REFUSAL);
      }),
    );
  });

  test('with any one character changed stand for nothing', () => {
    fc.assert(
      fc.property(listing, position, fc.nat(), fc.constantFrom(...'aZ0._-'), (one, place, at, character) => {
        const token = makePageToken(KEY, one, place);
        const index = at % token.length;
        fc.pre(token[index] !== character);
        const forged = token.slice(0, index) + character + token.slice(index + 1);
        expect(() => readPageToken(KEY, one, forged)).toThrow(REFUSAL);
      }),
    );
  });

  test('made up out of nothing stand for nothing, and break nothing', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => readPageToken(KEY, {}, text)).toThrow(REFUSAL);
      }),
    );
  });
});
