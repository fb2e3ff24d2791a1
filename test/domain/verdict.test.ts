import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { builtInKeyspaces, type Keyspace } from '../../src/domain/keyspace.ts';
import type { StandingKey } from '../../src/domain/standing.ts';
import { type Demands, explainVerdict, judge, reusableFor } from '../../src/domain/verdict.ts';

const NOW = 1_800_000_000_000;

function key({ ownerDisabled = false, ...overrides }: Partial<StandingKey> = {}): StandingKey {
  const one = {
    id: 'key_1',
    keyspace: 'acx',
    name: 'CI',
    displayPrefix: 'acx_1234',
    permissions: [],
    metadata: {},
    allowedCidrs: [],
    disabled: false,
    createTime: NOW - 1000,
    createdBy: 'system',
    updateTime: NOW - 1000,
    generation: 'g1',
    revision: 1,
    pending: [],
    ...overrides,
  };
  return { ...one, ownPermissions: one.permissions, ownerDisabled };
}

const nothing: Demands = { permissions: [] };

describe('judge', () => {
  test('a live key with no demands is valid', () => {
    expect(judge(key(), nothing, NOW).status).toBe('valid');
  });

  test('the first status that applies is the answer, in the order of the contract', () => {
    const worst = key({
      revokeTime: NOW - 1,
      ownerDisabled: true,
      disabled: true,
      expireTime: NOW - 1,
      owner: { kind: 'user', id: '1' },
      project: 'a',
      allowedCidrs: ['10.0.0.0/8'],
    });
    const demands: Demands = {
      permissions: ['docs:read'],
      owner: { kind: 'user', id: '2' },
      project: 'b',
      clientIp: '1.1.1.1',
    };
    const healed: [string, Partial<StandingKey>][] = [
      ['revoked', {}],
      ['owner-disabled', { revokeTime: undefined as never }],
      ['disabled', { ownerDisabled: false }],
      ['expired', { disabled: false }],
      ['wrong-owner', { expireTime: NOW + 1 }],
      ['wrong-project', { owner: { kind: 'user', id: '2' } }],
      ['ip-not-allowed', { project: 'b' }],
      ['insufficient-permissions', { allowedCidrs: ['1.1.1.0/24'] }],
      ['valid', { permissions: ['docs:*'] }],
    ];
    let current = worst;
    for (const [status, change] of healed) {
      current = { ...current, ...change };
      expect(judge(current, demands, NOW).status).toBe(status);
    }
  });

  test('a key is dead from the moment of its expiry on', () => {
    expect(judge(key({ expireTime: NOW }), nothing, NOW).status).toBe('expired');
    expect(judge(key({ expireTime: NOW + 1 }), nothing, NOW).status).toBe('valid');
  });

  test('a key that is bound to no project may be used for any, a bound one for its own only', () => {
    expect(judge(key(), { ...nothing, project: 'p' }, NOW).status).toBe('valid');
    expect(judge(key({ project: 'p' }), { ...nothing, project: 'p' }, NOW).status).toBe('valid');
    expect(judge(key({ project: 'p' }), { ...nothing, project: 'q' }, NOW).status).toBe('wrong-project');
    expect(judge(key({ project: 'p' }), nothing, NOW).status).toBe('valid');
  });

  test('an owner asked for must be the owner, and a key without one has none', () => {
    expect(judge(key(), { ...nothing, owner: { kind: 'user', id: '1' } }, NOW).status).toBe('wrong-owner');
    const owned = key({ owner: { kind: 'user', id: '1' } });
    expect(judge(owned, { ...nothing, owner: { kind: 'team', id: '1' } }, NOW).status).toBe('wrong-owner');
  });

  test('what is missing is named, and only that', () => {
    const verdict = judge(
      key({ permissions: ['a', 'docs:*'] }),
      { permissions: ['a', 'b', 'docs:x', 'c'] },
      NOW,
    );
    expect(verdict.missingPermissions).toEqual(['b', 'c']);
  });

  test('a wildcard that stands in a management key by accident covers nothing', () => {
    const management = key({ keyspace: 'gatehouse', permissions: ['keys:*'] });
    expect(judge(management, { permissions: ['keys:create'] }, NOW).status).toBe('insufficient-permissions');
  });

  test('explain and judge agree: valid exactly if every check passed, else the first failed check is the reason', () => {
    const keys = fc.record({
      disabled: fc.boolean(),
      ownerDisabled: fc.boolean(),
      revoked: fc.boolean(),
      expireTime: fc.option(fc.integer({ min: NOW - 2, max: NOW + 2 }), { nil: undefined }),
      project: fc.option(fc.constantFrom('a', 'b'), { nil: undefined }),
      allowedCidrs: fc.subarray(['10.0.0.0/8', '192.0.2.0/24']),
      permissions: fc.subarray(['a', 'b:*']),
    });
    const demands = fc.record({
      permissions: fc.subarray(['a', 'b:c', 'd']),
      project: fc.constantFrom('a', 'b'),
      clientIp: fc.constantFrom('10.1.1.1', '8.8.8.8'),
    });
    fc.assert(
      fc.property(keys, demands, ({ revoked, ...fields }, asked) => {
        const { expireTime, project, ...rest } = fields;
        const one = key({
          ...rest,
          ...(revoked ? { revokeTime: NOW - 1 } : {}),
          ...(expireTime === undefined ? {} : { expireTime }),
          ...(project === undefined ? {} : { project }),
        });
        const verdict = judge(one, asked, NOW);
        const failed = explainVerdict(one, asked, NOW).find((check) => !check.passed);
        return verdict.status === 'valid' ? failed === undefined : failed?.detail === verdict.message;
      }),
    );
  });
});

describe('an answer may be given again', () => {
  const DAY = 86_400_000;
  const allowing = (clientCacheTtl?: number): Keyspace => {
    const [, base] = builtInKeyspaces(0);
    if (base === undefined) throw new Error('no default keyspace');
    return { ...base, ...(clientCacheTtl === undefined ? {} : { clientCacheTtl }) };
  };
  const rotated = key({ previous: { generation: 'g0', expireTime: NOW + 7 } });

  test.each([
    ['not at all where the keyspace says nothing', key(), undefined, 'current', 0],
    ['for as long as the keyspace says', key(), 30_000, 'current', 30_000],
    ['not past the end of the key', key({ expireTime: NOW + 5 }), 30_000, 'current', 5],
    ['not after the end of the key', key({ expireTime: NOW - 1 }), 30_000, 'current', 0],
    ['for no longer where the key lives longer', key({ expireTime: NOW + DAY }), 30_000, 'current', 30_000],
    ['not past the end of a replaced secret', rotated, 30_000, 'previous', 7],
    ['without regard to a replaced secret that was not shown', rotated, 30_000, 'current', 30_000],
  ] as const)('%s', (_what, one, clientCacheTtl, secret, expected) => {
    expect(reusableFor(one, allowing(clientCacheTtl), secret, NOW)).toBe(expected);
  });
});
