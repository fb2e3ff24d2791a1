import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  beyondManagement,
  covers,
  isHeldPermission,
  isManagementPermission,
  MANAGEMENT_PERMISSIONS,
  manages,
  meet,
  uncovered,
} from '../../src/domain/permissions.ts';

const segment = fc.stringMatching(/^[a-z]{1,3}$/);
const literal = fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(':'));
const held = fc.oneof(
  literal,
  literal.map((one) => `${one}:*`),
  fc.constant('*'),
);

describe('permissions of ordinary keys', () => {
  test('a wildcard covers what it begins, and not its own stem', () => {
    expect(covers('docs:*', 'docs:read')).toBe(true);
    expect(covers('docs:*', 'docs:read:own')).toBe(true);
    expect(covers('docs:*', 'docs')).toBe(false);
    expect(covers('docs:*', 'docsx:read')).toBe(false);
    expect(covers('docs', 'docs:read')).toBe(false);
    expect(covers('docs*', 'docs:read')).toBe(false);
    expect(covers('*', 'anything')).toBe(true);
  });

  test('what covers a wildcard covers everything that the wildcard covers', () => {
    fc.assert(
      fc.property(held, held, literal, (outer, inner, asked) => {
        fc.pre(covers(outer, inner) && covers(inner, asked));
        return covers(outer, asked);
      }),
    );
  });

  test('every permission covers itself, and none but * covers *', () => {
    fc.assert(fc.property(held, (one) => covers(one, one) && (one === '*' || !covers(one, '*'))));
  });

  test('a narrower set never gains: what is within the holder is within whatever holds the holder', () => {
    const sets = fc.array(held, { maxLength: 4 });
    fc.assert(
      fc.property(sets, sets, fc.array(literal, { maxLength: 4 }), (parent, child, asked) => {
        fc.pre(uncovered(parent, child).length === 0 && uncovered(child, asked).length === 0);
        return uncovered(parent, asked).length === 0;
      }),
    );
  });

  test('what two lists have in common covers a permission exactly where both do', () => {
    const sets = fc.array(held, { maxLength: 5 });
    fc.assert(
      fc.property(sets, sets, literal, (one, other, asked) => {
        const within = (list: readonly string[]) => uncovered(list, [asked]).length === 0;
        return within(meet(one, other)) === (within(one) && within(other));
      }),
      { numRuns: 10_000 },
    );
    expect(meet(['docs:*', 'mail:read'], ['docs:read', 'mail:*', 'x'])).toEqual(['docs:read', 'mail:read']);
    expect(meet(['*'], [])).toEqual([]);
  });

  test('what two lists have in common never grows when one of them is narrowed', () => {
    const sets = fc.array(held, { maxLength: 4 });
    fc.assert(
      fc.property(sets, sets, sets, (one, narrower, other) => {
        fc.pre(uncovered(one, narrower).length === 0);
        return uncovered(meet(one, other), meet(narrower, other)).length === 0;
      }),
    );
  });

  test('held permissions are literals, end in :*, or are *', () => {
    for (const good of ['*', 'a', 'docs:read', 'docs:*', 'v1/files.read', 'a_b-c'])
      expect(isHeldPermission(good)).toBe(true);
    for (const bad of ['', ':*', 'docs*', '**', '*:read', 'a b', 'a@b', 'a'.repeat(129), 'é', 'a\0']) {
      expect(isHeldPermission(bad)).toBe(bad === ':*');
    }
  });
});

describe('management permissions', () => {
  test('are known names, narrowed to a keyspace or not, or *', () => {
    for (const one of MANAGEMENT_PERMISSIONS) {
      expect(isManagementPermission(one)).toBe(true);
      expect(isManagementPermission(`${one}@acx`)).toBe(true);
    }
    for (const bad of [
      'keys:*',
      'keys:create@',
      'keys:create@A',
      'keys:create@a@b',
      'docs:read',
      '*@acx',
      '',
    ]) {
      expect(isManagementPermission(bad)).toBe(false);
    }
  });

  test('one that is not narrowed covers every keyspace but the reserved one', () => {
    expect(manages(['keys:create'], 'keys:create', 'acx')).toBe(true);
    expect(manages(['keys:create'], 'keys:create', 'gatehouse')).toBe(false);
    expect(manages(['keys:create@gatehouse'], 'keys:create', 'gatehouse')).toBe(true);
    expect(manages(['*'], 'keys:create', 'gatehouse')).toBe(true);
    expect(manages(['keys:create@acx'], 'keys:create', 'other')).toBe(false);
    expect(manages(['keys:create@acx'], 'keys:read', 'acx')).toBe(false);
  });

  test('nobody can hand on more than it holds', () => {
    const permission = fc.constantFrom(
      '*',
      ...MANAGEMENT_PERMISSIONS.flatMap((one) => [one, `${one}@acx`, `${one}@gatehouse`] as const),
    );
    const sets = fc.array(permission, { maxLength: 4 });
    const asked = fc.constantFrom(...MANAGEMENT_PERMISSIONS);
    const keyspace = fc.constantFrom('acx', 'other', 'gatehouse');
    fc.assert(
      fc.property(sets, sets, asked, keyspace, (holder, wanted, one, where) => {
        const handed = wanted.filter((permission) => beyondManagement(holder, [permission]).length === 0);
        return !manages(handed, one, where) || manages(holder, one, where);
      }),
      { numRuns: 10_000 },
    );
  });
});
