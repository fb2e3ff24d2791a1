import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  builtInKeyspaces,
  collidingKeyspace,
  type Keyspace,
  KeyspaceDirectory,
  keyspaceViolations,
  largestDisplayLength,
} from '../../src/domain/keyspace.ts';
import { entropyBits } from '../../src/domain/token.ts';

function keyspace(overrides: Partial<Keyspace>): Keyspace {
  const [, base] = builtInKeyspaces(0);
  if (base === undefined) throw new Error('no default keyspace');
  return { ...base, ...overrides };
}

const shape = fc.record({
  prefix: fc.stringMatching(/^[a-z][a-z0-9]{0,20}_$/),
  alphabet: fc.constantFrom('hex' as const, 'base62' as const),
  secretLength: fc.integer({ min: 16, max: 128 }),
  hash: fc.constantFrom('sha256' as const, 'hmac-sha256' as const, 'argon2id' as const),
});

describe('keyspaces', () => {
  test('the built-in ones keep their own rules', () => {
    for (const one of builtInKeyspaces(0)) expect(keyspaceViolations(one)).toEqual([]);
  });

  test('the entropy floor is 128 bits: 32 hex or 22 base62 characters', () => {
    const bad = (alphabet: 'hex' | 'base62', secretLength: number) =>
      keyspaceViolations(keyspace({ alphabet, secretLength, displayLength: 5 })).map(({ field }) => field);
    expect(bad('hex', 31)).toEqual(['keyspace.secret_length']);
    expect(bad('hex', 32)).toEqual([]);
    expect(bad('base62', 21)).toEqual(['keyspace.secret_length']);
    expect(bad('base62', 22)).toEqual([]);
  });

  test('lists and store together never show so much that fewer than 96 bits stay hidden', () => {
    fc.assert(
      fc.property(shape, (one) => {
        const displayLength = largestDisplayLength(one);
        const known = Math.max(displayLength - one.prefix.length, one.hash === 'argon2id' ? 16 : 0);
        const hidden = entropyBits(one.alphabet, Math.max(0, one.secretLength - known));
        const refused = keyspaceViolations(keyspace({ ...one, displayLength })).length > 0;
        return refused || hidden >= 96;
      }),
    );
  });

  test('a secret that is too short whatever is shown is blamed itself, not what is shown of it', () => {
    const fields = (secretLength: number, displayLength: number) =>
      keyspaceViolations(keyspace({ hash: 'argon2id', secretLength, displayLength })).map(
        ({ field }) => field,
      );
    expect(fields(32, 12)).toEqual(['keyspace.secret_length']);
    expect(fields(33, 12)).toEqual([]);
    expect(fields(33, 23)).toEqual(['keyspace.display_length']);
  });

  test('one character more than the largest display length is refused', () => {
    fc.assert(
      fc.property(shape, (one) => {
        const displayLength = largestDisplayLength(one) + 1;
        return keyspaceViolations(keyspace({ ...one, displayLength })).length > 0;
      }),
    );
  });

  test('Agent-CoreX shows exactly as much as may be shown', () => {
    const acx = { prefix: 'acx_', alphabet: 'hex', secretLength: 32, hash: 'sha256' } as const;
    expect(largestDisplayLength(acx)).toBe(12);
  });
});

describe('prefixes', () => {
  test('neither begin each other, in either order, and a keyspace may keep its own', () => {
    const registry = { revision: 1, macKey: '', prefixes: { ac_live_: 'live' } };
    for (const taken of ['ac_live_', 'ac_', 'ac_live_x_'])
      expect(collidingKeyspace(registry, 'new', taken)).toBe('live');
    for (const free of ['ac_test_', 'acl_', 'Ac_live_'])
      expect(collidingKeyspace(registry, 'new', free)).toBeUndefined();
    expect(collidingKeyspace(registry, 'live', 'ac_live_')).toBeUndefined();
  });

  test('a token is found by the one prefix that begins it', () => {
    const directory = new KeyspaceDirectory([
      keyspace({ id: 'a', prefix: 'a_' }),
      keyspace({ id: 'ab', prefix: 'ab_' }),
      keyspace({ id: 'live', prefix: 'ac_live_' }),
    ]);
    expect(directory.forToken('ab_123')?.id).toBe('ab');
    expect(directory.forToken('a_b_123')?.id).toBe('a');
    expect(directory.forToken('ac_live_1')?.id).toBe('live');
    for (const unknown of ['', 'a', 'ac_', 'ac_live', 'b_', 'A_1'])
      expect(directory.forToken(unknown)).toBeUndefined();
  });
});
