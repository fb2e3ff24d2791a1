/** Every way in which a caller might gain more than it has, tried against the real service. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';

let gatehouse: Gatehouse;

beforeAll(async () => {
  gatehouse = await startGatehouse();
  for (const keyspace of [
    { ...FORMAT, id: 'shop', prefix: 'shop_', selfServiceCallers: ['SELF_SERVICE_CALLER_KEY'] },
    { ...FORMAT, id: 'plain', prefix: 'plain_' },
    {
      ...FORMAT,
      id: 'gated',
      prefix: 'gated_',
      selfServiceCallers: ['SELF_SERVICE_CALLER_KEY'],
      selfServicePermission: 'keys:manage',
      selfServiceMayOutlive: true,
      keyDefaults: { metadata: { plan: 'free' }, permissions: ['default:read'] },
    },
  ]) {
    expect((await root('KeyspaceService/CreateKeyspace', { keyspace })).body.keyspace).toBeTruthy();
  }
});
afterAll(() => gatehouse.remove());

const FORMAT = { alphabet: 'ALPHABET_BASE62', secretLength: 32, hash: 'HASH_ALGORITHM_SHA256' };
const OWNER = { kind: 'user', id: 'alice' };

function call(key: string, method: string, body: unknown) {
  return callJson(gatehouse, method, body, { key });
}

function root(method: string, body: unknown) {
  return call(gatehouse.rootKey, method, body);
}

interface Made {
  readonly id: string;
  readonly secret: string;
}

async function make(keyspace: string, more: object = {}, by = gatehouse.rootKey): Promise<Made> {
  const { body } = await call(by, 'KeyService/CreateKey', { keyspace, name: 'test', ...more });
  if (body.key === undefined) throw new Error(`no key was made: ${body.message}`);
  return { id: body.key.id, secret: body.secret };
}

function manager(...permissions: string[]): Promise<Made> {
  return make('gatehouse', { permissions });
}

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

describe('a management key', () => {
  test('that is narrowed to a keyspace cannot tell another keyspace from one that does not exist', async () => {
    const narrow = await manager('keys:create@shop', 'keys:read@shop', 'keys:revoke@shop');
    const create = (keyspace: string) => call(narrow.secret, 'KeyService/CreateKey', { keyspace, name: 'x' });
    const [other, missing] = [await create('plain'), await create('nowhere')];
    expect(other.body.code).toBe('not_found');
    expect(other.body.message.replace('plain', 'nowhere')).toBe(missing.body.message);
    const foreign = await make('plain');
    expect((await call(narrow.secret, 'KeyService/GetKey', { id: foreign.id })).body.code).toBe('not_found');
    expect((await call(narrow.secret, 'KeyService/RevokeKey', { id: foreign.id })).body.code).toBe(
      'not_found',
    );
    const { keys } = (await call(narrow.secret, 'KeyService/ListKeys', {})).body;
    expect(keys.every((key: { keyspace: string }) => key.keyspace === 'shop')).toBe(true);
  });

  test('that is not narrowed does not reach the reserved keyspace', async () => {
    const wide = await manager(
      'keys:create',
      'keys:read',
      'keys:update',
      'keys:revoke',
      'keyspaces:admin',
      'keyspaces:read',
    );
    const victim = await manager('keys:read');
    const attempts: [string, object][] = [
      ['KeyService/CreateKey', { keyspace: 'gatehouse', name: 'x', permissions: ['keys:read'] }],
      ['KeyService/GetKey', { id: victim.id }],
      ['KeyService/RevokeKey', { id: victim.id }],
      ['KeyService/UpdateKey', { key: { id: victim.id, disabled: true }, updateMask: 'disabled' }],
      ['KeyService/ListKeys', { keyspace: 'gatehouse' }],
      ['KeyspaceService/GetKeyspace', { id: 'gatehouse' }],
      [
        'KeyspaceService/UpdateKeyspace',
        { keyspace: { id: 'gatehouse', displayName: 'x' }, updateMask: 'displayName' },
      ],
    ];
    for (const [method, body] of attempts) {
      expect((await call(wide.secret, method, body)).body.code, method).toBe('not_found');
    }
    const { keys } = (await call(wide.secret, 'KeyService/ListKeys', { pageSize: 1000 })).body;
    expect(keys.some((key: { keyspace: string }) => key.keyspace === 'gatehouse')).toBe(false);
  });

  test.each([
    ['everything', ['*']],
    ['a permission that it lacks', ['keys:revoke@gatehouse']],
    ['an unnarrowed form of a narrowed permission', ['keys:read']],
  ])('cannot make a management key with %s', async (_what, permissions) => {
    const minter = await manager('keys:create@gatehouse', 'keys:read@shop');
    const { body } = await call(minter.secret, 'KeyService/CreateKey', {
      keyspace: 'gatehouse',
      name: 'x',
      permissions,
    });
    expect(body.code).toBe('permission_denied');
  });

  test('makes management keys with less, and with its own addresses and end of life', async () => {
    const minter = await make('gatehouse', {
      permissions: ['keys:create@gatehouse', 'keys:read'],
      allowedCidrs: ['127.0.0.1'],
      ttl: '600s',
    });
    const { body } = await call(minter.secret, 'KeyService/CreateKey', {
      keyspace: 'gatehouse',
      name: 'x',
      permissions: ['keys:read@shop'],
    });
    expect(body.key.allowedCidrs).toEqual(['127.0.0.1/32']);
    const parent = (await root('KeyService/GetKey', { id: minter.id })).body.key;
    expect(body.key.expireTime).toBe(parent.expireTime);
    for (const more of [{ neverExpires: true }, { ttl: '6000s' }, { allowedCidrs: ['0.0.0.0/0'] }]) {
      const refused = await call(minter.secret, 'KeyService/CreateKey', {
        keyspace: 'gatehouse',
        name: 'x',
        ...more,
      });
      expect(refused.body.code).toBe('permission_denied');
    }
  });

  test('cannot change or revoke a management key that holds more, itself included', async () => {
    const clerk = await make('gatehouse', {
      permissions: ['keys:update@gatehouse', 'keys:revoke@gatehouse', 'keys:read@gatehouse'],
      ttl: '600s',
    });
    const strong = await manager('*');
    const sameButEndless = await manager('keys:read@gatehouse');
    for (const { id } of [strong, sameButEndless]) {
      const update = { key: { id, disabled: true }, updateMask: 'disabled' };
      expect((await call(clerk.secret, 'KeyService/UpdateKey', update)).body.code).toBe('permission_denied');
      expect((await call(clerk.secret, 'KeyService/RevokeKey', { id })).body.code).toBe('permission_denied');
    }
    for (const [path, fields] of [
      ['permissions', { permissions: ['*'] }],
      ['expireTime', {}],
      ['permissions', { permissions: ['keys:update@gatehouse', 'keys:create'] }],
    ] as const) {
      const update = { key: { id: clerk.id, ...fields }, updateMask: path };
      expect((await call(clerk.secret, 'KeyService/UpdateKey', update)).body.code).toBe('permission_denied');
    }
  });

  test('with one permission only has no other', async () => {
    const reader = await manager('keys:read');
    const target = await make('plain');
    const attempts: [string, object][] = [
      ['KeyService/CreateKey', { keyspace: 'plain', name: 'x' }],
      ['KeyService/RevokeKey', { id: target.id }],
      ['KeyService/UpdateKey', { key: { id: target.id, name: 'x' }, updateMask: 'name' }],
      ['KeyspaceService/CreateKeyspace', { keyspace: { ...FORMAT, id: 'mine', prefix: 'mine_' } }],
      ['KeyspaceService/ListKeyspaces', {}],
      ['AuthService/Verify', { token: target.secret }],
    ];
    for (const [method, body] of attempts) {
      expect((await call(reader.secret, method, body)).body.code, method).toBe('permission_denied');
    }
    expect((await call(reader.secret, 'KeyService/GetKey', { id: target.id })).status).toBe(200);
  });

  test('learns nothing of a token in a keyspace that it may not verify', async () => {
    const narrow = await manager('tokens:verify@shop');
    const foreign = await make('plain');
    for (const token of [
      foreign.secret,
      `${foreign.secret}x`,
      'plain_short',
      gatehouse.rootKey,
      'nowhere_1',
    ]) {
      for (const keyspaces of [[], ['shop'], ['plain'], ['gatehouse']]) {
        const { body } = await call(narrow.secret, 'AuthService/Verify', { token, keyspaces });
        expect(body).toMatchObject({ valid: false, status: 'VERIFY_STATUS_NOT_FOUND', revision: '0' });
        expect(body.principal).toBeUndefined();
      }
    }
  });

  test('verifies management keys only where it names the reserved keyspace and may', async () => {
    const wide = await manager('tokens:verify');
    const named = await manager('tokens:verify@gatehouse');
    const token = gatehouse.rootKey;
    const ask = async (by: string, keyspaces: string[]) =>
      (await call(by, 'AuthService/Verify', { token, keyspaces })).body.status;
    expect(await ask(wide.secret, ['gatehouse'])).toBe('VERIFY_STATUS_NOT_FOUND');
    expect(await ask(named.secret, [])).toBe('VERIFY_STATUS_WRONG_KEYSPACE');
    expect(await ask(named.secret, ['gatehouse'])).toBe('VERIFY_STATUS_VALID');
  });

  test('explains only with keys:read as well', async () => {
    const target = await make('plain');
    const explain = async (by: Made) =>
      (await call(by.secret, 'AuthService/Verify', { token: target.secret, explain: true })).body;
    expect(await explain(await manager('tokens:verify'))).toMatchObject({ code: 'permission_denied' });
    expect(await explain(await manager('tokens:verify@plain', 'keys:read@shop'))).toMatchObject({
      status: 'VERIFY_STATUS_NOT_FOUND',
    });
    const { checks } = await explain(await manager('tokens:verify', 'keys:read'));
    expect(checks.map((check: { name: string }) => check.name)).toEqual([
      'present',
      'printable',
      'known_prefix',
      'well_formed',
      'keyspace',
      'secret',
      'not_revoked',
      'enabled',
      'not_expired',
      'owner',
      'project',
      'address',
      'permissions',
    ]);
  });

  test.each(['revoked', 'disabled', 'expired'])(
    'that is %s is refused like one that never was',
    async (state) => {
      const one = await make('gatehouse', {
        permissions: ['*'],
        ...(state === 'expired' ? { ttl: '1s' } : {}),
      });
      if (state === 'revoked') await root('KeyService/RevokeKey', { id: one.id });
      if (state === 'disabled')
        await root('KeyService/UpdateKey', { key: { id: one.id, disabled: true }, updateMask: 'disabled' });
      await expect
        .poll(async () => (await call(one.secret, 'KeyService/ListKeys', {})).status, { timeout: 5000 })
        .toBe(401);
      const dead = await call(one.secret, 'KeyService/ListKeys', {});
      const unknown = await call(`ghm_${'x'.repeat(43)}`, 'KeyService/ListKeys', {});
      expect(dead.body).toEqual(unknown.body);
    },
  );

  test('from an address that its list does not have is refused', async () => {
    const far = await make('gatehouse', { permissions: ['*'], allowedCidrs: ['192.0.2.0/24'] });
    const { status, body } = await call(far.secret, 'KeyService/ListKeys', {});
    expect([status, body.code]).toEqual([403, 'permission_denied']);
  });
});

describe('the reserved keyspace', () => {
  test.each([
    ['self-service', { selfServiceCallers: ['SELF_SERVICE_CALLER_KEY'] }, 'selfServiceCallers'],
    [
      'permissions that are none of management',
      { keyDefaults: { permissions: ['docs:read'] } },
      'keyDefaults',
    ],
  ])('takes no %s', async (_what, fields, updateMask) => {
    const { body } = await root('KeyspaceService/UpdateKeyspace', {
      keyspace: { id: 'gatehouse', ...fields },
      updateMask,
    });
    expect(body.code).toBe('invalid_argument');
  });

  test('takes only known management permissions', async () => {
    for (const permission of ['docs:read', 'keys:*', 'keys:create@', 'keys:create@A']) {
      const { body } = await root('KeyService/CreateKey', {
        keyspace: 'gatehouse',
        name: 'x',
        permissions: [permission],
      });
      expect(body.code).toBe('invalid_argument');
    }
  });
});

describe('a page token', () => {
  test('is of no use to another caller, with another filter, or when forged', async () => {
    for (let made = 0; made < 3; made++) await make('plain', { owner: OWNER });
    const page = { keyspace: 'plain', pageSize: 1 };
    const { nextPageToken } = (await root('KeyService/ListKeys', page)).body;
    const ask = async (by: string, more: object) =>
      (await call(by, 'KeyService/ListKeys', { ...page, ...more })).body.code;
    const reader = await manager('keys:read');
    expect(await ask(gatehouse.rootKey, { pageToken: nextPageToken })).toBeUndefined();
    expect(await ask(reader.secret, { pageToken: nextPageToken })).toBe('invalid_argument');
    expect(await ask(gatehouse.rootKey, { pageToken: nextPageToken, owner: OWNER })).toBe('invalid_argument');
    expect(await ask(gatehouse.rootKey, { pageToken: nextPageToken, keyspace: 'shop' })).toBe(
      'invalid_argument',
    );
    for (const forged of [
      `${nextPageToken}x`,
      `x${nextPageToken}`,
      'x',
      '.',
      nextPageToken.replace(/\..*/, '.'),
    ]) {
      expect(await ask(gatehouse.rootKey, { pageToken: forged })).toBe('invalid_argument');
    }
  });
});

function camel(path: string): string {
  return path.replace(/_(.)/g, (_all, letter: string) => letter.toUpperCase());
}
