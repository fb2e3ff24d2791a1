import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nextGeneration } from '../../src/domain/generation.ts';
import { ownerId } from '../../src/domain/owner.ts';
import { covers } from '../../src/domain/permissions.ts';
import { generationEnd, inItsGeneration, isBeyond, standing } from '../../src/domain/standing.ts';
import { sampleKey, sampleKeyspace, sampleOwner, T0 } from '../conformance/samples.ts';

const literal = fc
  .array(fc.stringMatching(/^[a-c]{1,2}$/), { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join(':'));
const held = fc.oneof(
  literal,
  literal.map((one) => `${one}:*`),
  fc.constant('*'),
);
const sets = fc.array(held, { maxLength: 5 });
const bounds = fc.option(sets, { nil: undefined });

const OWNER = { kind: 'user', id: 'alice' };
const keyspace = sampleKeyspace({ id: 'acx' });

function allows(permissions: readonly string[], asked: string): boolean {
  return permissions.some((one) => covers(one, asked));
}

function bounded(permissionBound: readonly string[] | undefined) {
  return sampleOwner({ owner: OWNER, ...(permissionBound === undefined ? {} : { permissionBound }) });
}

describe('the permissions of a key', () => {
  test('are exactly what both its own and the owner’s bound cover', () => {
    fc.assert(
      fc.property(sets, bounds, literal, (permissions, bound, asked) => {
        const { permissions: effective } = standing(
          sampleKey({ owner: OWNER, permissions }),
          keyspace,
          bounded(bound),
        );
        const wanted = allows(permissions, asked) && (bound === undefined || allows(bound, asked));
        return allows(effective, asked) === wanted;
      }),
      { numRuns: 5000 },
    );
  });

  test('that inherits are exactly what the bound covers, and none where there is no bound', () => {
    const key = sampleKey({ owner: OWNER, permissions: [], inheritOwnerPermissions: true });
    fc.assert(
      fc.property(bounds, literal, (bound, asked) => {
        const { permissions } = standing(key, keyspace, bounded(bound));
        return allows(permissions, asked) === allows(bound ?? [], asked);
      }),
    );
    expect(standing(key, keyspace, undefined).permissions).toEqual([]);
  });

  test('are none under an empty bound, and its own where there is no bound or no record', () => {
    const key = sampleKey({ owner: OWNER, permissions: ['*'] });
    expect(standing(key, keyspace, bounded([])).permissions).toEqual([]);
    expect(standing(key, keyspace, bounded(undefined)).permissions).toEqual(['*']);
    expect(standing(key, keyspace, undefined).permissions).toEqual(['*']);
    expect(standing(key, keyspace, bounded([])).ownPermissions).toEqual(['*']);
  });

  test('who is not beyond another never may do more than it, whatever the bound becomes', () => {
    const kinds = fc.oneof(
      sets.map((permissions) => ({ permissions })),
      fc.constant({ permissions: [], inheritOwnerPermissions: true as const }),
    );
    fc.assert(
      fc.property(kinds, kinds, bounds, sets, literal, (holder, other, now, later, asked) => {
        const at = (fields: typeof holder, bound: readonly string[] | undefined) =>
          standing(sampleKey({ owner: OWNER, ...fields }), keyspace, bounded(bound));
        fc.pre(!isBeyond(at(holder, now), at(other, now)));
        const may = (bound: readonly string[] | undefined) =>
          !allows(at(other, bound).permissions, asked) || allows(at(holder, bound).permissions, asked);
        return may(now) && may(later);
      }),
      { numRuns: 5000 },
    );
  });
});

describe('a generation', () => {
  const revocation = { time: T0 + 5, actor: { id: 'key_admin' }, reason: 'leaked' };
  const ended = { ...sampleOwner({ owner: OWNER }), ...nextGeneration({}, revocation) };

  test('that has ended takes the keys made in it, and none made later', () => {
    const old = sampleKey({ owner: OWNER });
    expect(inItsGeneration(old, keyspace, ended)).toEqual({
      ...old,
      revokeTime: T0 + 5,
      revokeReason: 'leaked',
    });
    const young = sampleKey({ owner: OWNER, ownerGeneration: 1 });
    expect(inItsGeneration(young, keyspace, ended)).toBe(young);
  });

  test('of a keyspace takes all keys made in it, and the end that came first is the one that is told', () => {
    const whole = { ...keyspace, ...nextGeneration({}, { ...revocation, time: T0 + 3, reason: '' }) };
    const key = sampleKey({ owner: OWNER });
    expect(generationEnd(sampleKey(), whole, undefined)?.time).toBe(T0 + 3);
    expect(generationEnd(key, whole, ended)?.time).toBe(T0 + 3);
    expect(inItsGeneration(key, whole, ended)).not.toHaveProperty('revokeReason');
    expect(generationEnd({ ...key, keyspaceGeneration: 1 }, whole, ended)?.time).toBe(T0 + 5);
    expect(
      generationEnd({ ...key, keyspaceGeneration: 1, ownerGeneration: 1 }, whole, ended),
    ).toBeUndefined();
  });

  test('that has ended changes nothing of a key that was revoked by itself', () => {
    const key = sampleKey({ owner: OWNER, revokeTime: T0 + 1, revokeReason: 'first' });
    expect(inItsGeneration(key, keyspace, ended)).toBe(key);
  });

  test('never comes back: each end counts one further', () => {
    const again = { ...ended, ...nextGeneration(ended, { ...revocation, time: T0 + 9 }) };
    expect(again.generation).toBe(2);
    expect(generationEnd(sampleKey({ owner: OWNER, ownerGeneration: 1 }), keyspace, again)?.time).toBe(
      T0 + 9,
    );
  });

  test('of the reserved keyspace does not end, and owners have no effect there', () => {
    const reserved = { ...sampleKeyspace({ id: 'gatehouse' }), ...nextGeneration({}, revocation) };
    const key = sampleKey({ keyspace: 'gatehouse', owner: OWNER, permissions: ['*'] });
    const stands = standing(key, reserved, { ...ended, disabled: true, permissionBound: [] });
    expect(stands).toMatchObject({ permissions: ['*'], ownerDisabled: false });
    expect(stands.revokeTime).toBeUndefined();
  });
});

test('no two owners share a record', () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{1,3}$/);
  const id = fc.stringMatching(/^[a:/]{1,4}$/);
  fc.assert(
    fc.property(name, name, id, name, name, id, (ks, kind, one, ks2, kind2, other) => {
      fc.pre(ks !== ks2 || kind !== kind2 || one !== other);
      return ownerId(ks, { kind, id: one }) !== ownerId(ks2, { kind: kind2, id: other });
    }),
  );
});
