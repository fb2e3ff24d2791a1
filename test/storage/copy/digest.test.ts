import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalText, RecordDigest } from '../../../src/storage/copy/digest.ts';

const records = fc.array(
  fc.record({ id: fc.string(), count: fc.integer(), metadata: fc.dictionary(fc.string(), fc.string()) }),
);

function digestOf(all: readonly unknown[]): string {
  const digest = new RecordDigest();
  for (const one of all) digest.add(one);
  expect(digest.count).toBe(all.length);
  return digest.digest;
}

describe('a digest', () => {
  test('is the same whatever order the records and their fields come in', () => {
    fc.assert(
      fc.property(records, (all) => {
        const turned = all.toReversed().map((one) => Object.fromEntries(Object.entries(one).reverse()));
        expect(digestOf(turned)).toBe(digestOf(all));
      }),
    );
  });

  test('is another with one record more, one less, one twice, or one changed', () => {
    fc.assert(
      fc.property(records, fc.nat(), (all, seed) => {
        const one = all[seed % all.length];
        fc.pre(one !== undefined);
        const rest = all.toSpliced(seed % all.length, 1);
        const others = [rest, [...all, one], [...all, one, one], [...rest, { ...one, count: one.count + 1 }]];
        expect(new Set([all, ...others].map(digestOf)).size).toBe(5);
      }),
    );
  });

  test('is 64 digits, of nothing as well', () => {
    expect(digestOf([])).toBe('0'.repeat(64));
    expect(digestOf([{ a: 1 }])).toMatch(/^[0-9a-f]{64}$/);
  });

  test('sees what is named as JavaScript names its own things', () => {
    const proto = JSON.parse('{"__proto__": "a"}');
    expect(canonicalText({ b: proto, a: [2, 1] })).toBe('{"a":[2,1],"b":{"__proto__":"a"}}');
    expect(digestOf([proto])).not.toBe(digestOf([{}]));
  });

  test('takes a field that is undefined for one that is absent, as stores do', () => {
    expect(canonicalText({ a: undefined, b: null })).toBe(canonicalText({ b: null }));
  });
});
