import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Alphabet,
  bareToken,
  CHECKSUM_LENGTH,
  checksumOf,
  entropyBits,
  isWellFormed,
  mintToken,
  randomText,
  type TokenFormat,
} from '../../src/domain/token.ts';

const format = fc.record<TokenFormat>({
  prefix: fc.stringMatching(/^[A-Za-z][A-Za-z0-9._-]{0,20}[_.-]$/),
  alphabet: fc.constantFrom<Alphabet>('hex', 'base62'),
  secretLength: fc.integer({ min: 16, max: 128 }),
  checksum: fc.boolean(),
});

describe('tokens', () => {
  test('every minted token is well formed in its own format', () => {
    fc.assert(fc.property(format, (one) => isWellFormed(one, mintToken(one))));
  });

  test('a token has exactly the length that its format says', () => {
    fc.assert(
      fc.property(format, (one) => {
        const length = one.prefix.length + one.secretLength + (one.checksum ? CHECKSUM_LENGTH : 0);
        return mintToken(one).length === length;
      }),
    );
  });

  test('with a checksum, any one changed character is noticed', () => {
    const checked = format.map((one) => ({ ...one, checksum: true }));
    fc.assert(
      fc.property(checked, fc.nat(), fc.constantFrom(...'0aZ9f'), (one, position, character) => {
        const token = mintToken(one);
        const at = position % token.length;
        fc.pre(token[at] !== character);
        return !isWellFormed(one, token.slice(0, at) + character + token.slice(at + 1));
      }),
    );
  });

  test('a longer, shorter or foreign-alphabet token is malformed', () => {
    fc.assert(
      fc.property(format, (one) => {
        const token = mintToken(one);
        const start = one.prefix.length;
        return (
          !isWellFormed(one, `${token}0`) &&
          !isWellFormed(one, token.slice(0, -1)) &&
          !isWellFormed(one, `${token.slice(0, start)}-${token.slice(start + 1)}`)
        );
      }),
    );
  });

  test('hex tokens are lower case only', () => {
    const acx = { prefix: 'acx_', alphabet: 'hex', secretLength: 32, checksum: false } as const;
    expect(isWellFormed(acx, `acx_${'a'.repeat(32)}`)).toBe(true);
    expect(isWellFormed(acx, `acx_${'A'.repeat(32)}`)).toBe(false);
  });

  test('the checksum is CRC32 in base62 with zeros in front', () => {
    // crc32("123456789") is 0xcbf43926, the check value of the IEEE polynomial.
    const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
    const value = [...checksumOf('123456789')].reduce((sum, digit) => sum * 62 + digits.indexOf(digit), 0);
    expect(value).toBe(0xcbf43926);
    expect(checksumOf('')).toBe('000000');
  });

  test('no character of an alphabet is likelier than another (no modulo bias)', () => {
    for (const [alphabet, size] of [
      ['base62', 62],
      ['hex', 16],
    ] as const) {
      const drawn = 400_000;
      const counts = new Map<string, number>();
      for (const character of randomText(alphabet, drawn))
        counts.set(character, (counts.get(character) ?? 0) + 1);
      expect(counts.size).toBe(size);
      const expected = drawn / size;
      const chiSquare = [...counts.values()].reduce(
        (sum, count) => sum + (count - expected) ** 2 / expected,
        0,
      );
      // Far beyond the 99.9999th percentile for 61 degrees of freedom; bytes modulo 62 give about 4,900.
      expect(chiSquare).toBeLessThan(140);
    }
  });

  test('entropy is counted in bits of random characters', () => {
    expect(entropyBits('hex', 32)).toBe(128);
    expect(entropyBits('base62', 22)).toBeGreaterThan(128);
    expect(entropyBits('base62', 21)).toBeLessThan(128);
  });

  test('outer white space and one leading Bearer are taken off', () => {
    for (const text of ['acx_1', ' acx_1\n', 'Bearer acx_1', 'bearer  acx_1', '\tBEARER acx_1 ']) {
      expect(bareToken(text)).toBe('acx_1');
    }
    expect(bareToken('Bearer')).toBe('');
    expect(bareToken('Bearer ')).toBe('');
    expect(bareToken('Bearer Bearer acx_1')).toBe('Bearer acx_1');
    expect(bareToken('bearer_1')).toBe('bearer_1');
  });
});
