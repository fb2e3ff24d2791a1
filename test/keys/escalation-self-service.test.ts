/** Every way in which the holder of an ordinary key might gain more than it has, tried against the real service. */

import { beforeAll, describe, expect, test } from 'vitest';
import { FORMAT, type Made, OWNER, useShop } from '../support/shop.ts';

const { call, root, make } = useShop();

describe('a self-service key', () => {
  let alice: Made;
  beforeAll(async () => {
    alice = await make('shop', {
      owner: OWNER,
      permissions: ['orders:*', 'stock:read'],
      allowedCidrs: ['127.0.0.0/8'],
      ttl: '3600s',
    });
  });

  const create = (by: Made, more: object) =>
    call(by.secret, 'KeyService/CreateKey', { keyspace: 'shop', name: 'child', ...more });

  test.each([
    ['a permission that it lacks', { permissions: ['stock:write'] }],
    ['everything', { permissions: ['*'] }],
    ['a wildcard above its own', { permissions: ['stock:*'] }],
    ['wider addresses', { allowedCidrs: ['0.0.0.0/0'] }],
    ['other addresses', { allowedCidrs: ['192.0.2.0/24'] }],
    ['a longer life', { ttl: '7200s' }],
    ['an endless life', { neverExpires: true }],
    ['another owner', { owner: { kind: 'user', id: 'bob' } }],
    ['another kind of owner with its id', { owner: { kind: 'team', id: 'alice' } }],
    ['metadata', { metadata: { plan: 'enterprise' } }],
  ])('cannot give a child %s', async (_what, more) => {
    const { status, body } = await create(alice, more);
    expect([status, body.code]).toEqual([403, 'permission_denied']);
  });

  test('hands on what the request leaves out exactly as it holds it', async () => {
    const { body } = await create(alice, {});
    expect(body.key).toMatchObject({
      owner: OWNER,
      permissions: ['orders:*', 'stock:read'],
      allowedCidrs: ['127.0.0.0/8'],
      parentKeyId: alice.id,
    });
    const parent = (await root('KeyService/GetKey', { id: alice.id })).body.key;
    expect(body.key.expireTime).toBe(parent.expireTime);
  });

  test('may give less', async () => {
    const { body } = await create(alice, {
      permissions: ['orders:read'],
      allowedCidrs: ['127.0.0.1'],
      ttl: '60s',
    });
    expect(body.key).toMatchObject({ permissions: ['orders:read'], allowedCidrs: ['127.0.0.1/32'] });
  });

  test('that is bound to a project makes, sees and revokes keys of that project only', async () => {
    const bound = await make('shop', { owner: OWNER, project: 'a' });
    const other = await make('shop', { owner: OWNER, project: 'b' });
    const unbound = await make('shop', { owner: OWNER });
    expect((await create(bound, { project: 'b' })).body.code).toBe('permission_denied');
    expect((await create(bound, {})).body.key.project).toBe('a');
    for (const one of [other, unbound]) {
      expect((await call(bound.secret, 'KeyService/GetKey', { id: one.id })).body.code).toBe('not_found');
      expect((await call(bound.secret, 'KeyService/RevokeKey', { id: one.id })).body.code).toBe('not_found');
    }
    for (const project of ['b', '']) {
      const { body } = await call(bound.secret, 'KeyService/ListKeys', { keyspace: 'shop', project });
      expect(body.keys).toEqual([]);
    }
    const { body } = await call(bound.secret, 'KeyService/ListKeys', {});
    expect(body.keys.every((key: { project: string }) => key.project === 'a')).toBe(true);
  });

  test('neither sees, renames nor revokes keys of another owner, nor of its owner’s namesake elsewhere', async () => {
    const bob = await make('shop', { owner: { kind: 'user', id: 'bob' } });
    const ownerless = await make('shop');
    const namesake = await make('plain', { owner: OWNER });
    for (const { id } of [bob, ownerless, namesake]) {
      for (const [method, body] of [
        ['GetKey', { id }],
        ['RevokeKey', { id }],
        ['UpdateKey', { key: { id, name: 'mine now' }, updateMask: 'name' }],
      ] as const) {
        expect((await call(alice.secret, `KeyService/${method}`, body)).body.code).toBe('not_found');
      }
    }
    const { body } = await call(alice.secret, 'KeyService/ListKeys', { owner: { kind: 'user', id: 'bob' } });
    expect(body.keys).toEqual([]);
  });

  test.each([
    ['permissions', { permissions: ['*'] }],
    ['allowed_cidrs', { allowedCidrs: [] }],
    ['expire_time', {}],
    ['disabled', { disabled: false }],
    ['project', { project: 'z' }],
    ['metadata', { metadata: { plan: 'enterprise' } }],
  ])('cannot change %s of its own key', async (path, fields) => {
    const { body } = await call(alice.secret, 'KeyService/UpdateKey', {
      key: { id: alice.id, ...fields },
      updateMask: camel(path),
    });
    expect(body.code).toBe('permission_denied');
  });

  test('renames keys of its owner, and a mask with more beside the name is refused as a whole', async () => {
    const named = await make('shop', { owner: OWNER });
    const update = (updateMask: string) =>
      call(alice.secret, 'KeyService/UpdateKey', {
        key: { id: named.id, name: 'renamed', permissions: ['*'] },
        updateMask,
      });
    expect((await update('name,permissions')).body.code).toBe('permission_denied');
    expect((await root('KeyService/GetKey', { id: named.id })).body.key.name).toBe('test');
    expect((await update('name')).body.key).toMatchObject({ name: 'renamed', permissions: [] });
  });

  test('without an owner, or in a keyspace without self-service, manages nothing', async () => {
    for (const one of [await make('shop'), await make('plain', { owner: OWNER })]) {
      for (const [method, body] of [
        ['CreateKey', { keyspace: 'shop', name: 'x' }],
        ['ListKeys', {}],
        ['GetKey', { id: one.id }],
        ['RevokeKey', { id: one.id }],
      ] as const) {
        expect((await call(one.secret, `KeyService/${method}`, body)).body.code).toBe('permission_denied');
      }
    }
  });

  test('needs the permission that its keyspace asks for, gets its defaults, and may be outlived where it may', async () => {
    const without = await make('gated', { owner: OWNER, permissions: ['other'] });
    expect(
      (await call(without.secret, 'KeyService/CreateKey', { keyspace: 'gated', name: 'x' })).body.code,
    ).toBe('permission_denied');
    const holder = await make('gated', { owner: OWNER, permissions: ['keys:*'], ttl: '3600s' });
    const { body } = await call(holder.secret, 'KeyService/CreateKey', {
      keyspace: 'gated',
      name: 'x',
      neverExpires: true,
    });
    expect(body.key).toMatchObject({ metadata: { plan: 'free' }, permissions: ['keys:*'] });
    expect(body.key.expireTime).toBeUndefined();
  });

  test('reaches no other keyspace, no keyspace’s settings and no verification', async () => {
    const attempts: [string, object][] = [
      ['KeyService/CreateKey', { keyspace: 'plain', name: 'x' }],
      ['KeyService/CreateKey', { keyspace: 'gatehouse', name: 'x', permissions: ['*'] }],
      ['KeyspaceService/GetKeyspace', { id: 'shop' }],
      ['KeyspaceService/ListKeyspaces', {}],
      [
        'KeyspaceService/UpdateKeyspace',
        { keyspace: { id: 'shop', displayName: 'x' }, updateMask: 'displayName' },
      ],
      ['KeyspaceService/CreateKeyspace', { keyspace: { ...FORMAT, id: 'mine', prefix: 'mine_' } }],
      ['AuthService/Verify', { token: alice.secret }],
      ['AuthService/VerifyBatch', { requests: [{ token: alice.secret }] }],
    ];
    for (const [method, body] of attempts) {
      expect(['permission_denied', 'not_found'], method).toContain(
        (await call(alice.secret, method, body)).body.code,
      );
    }
  });

  test('that holds management permissions by name outside the reserved keyspace has none', async () => {
    const pretender = await make('shop', {
      owner: OWNER,
      permissions: ['keys:create', 'tokens:verify', '*'],
    });
    expect(
      (await call(pretender.secret, 'KeyService/CreateKey', { keyspace: 'plain', name: 'x' })).body.code,
    ).toBe('not_found');
    expect((await call(pretender.secret, 'AuthService/Verify', { token: alice.secret })).body.code).toBe(
      'permission_denied',
    );
  });
});

function camel(path: string): string {
  return path.replace(/_(.)/g, (_all, letter: string) => letter.toUpperCase());
}
