/** Every way in which the holder of a management key might gain more than it has, tried against the real service. */

import { describe, expect, test } from 'vitest';
import { fieldsOf } from '../support/gatehouse.ts';
import { FORMAT, type Made, useShop } from '../support/shop.ts';

const { call, root, make, manager, rootKey } = useShop();

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

  test('cannot make a management key that holds more into one that holds less', async () => {
    const clerk = await make('gatehouse', {
      permissions: ['keys:update@gatehouse', 'keys:read@gatehouse'],
      allowedCidrs: ['127.0.0.0/8'],
      ttl: '600s',
    });
    const held = { permissions: ['keys:read@gatehouse'], allowedCidrs: ['127.0.0.1'], ttl: '60s' };
    const soon = { expireTime: new Date(Date.now() + 30_000).toISOString() };
    for (const [path, more, fields] of [
      ['permissions', { permissions: ['*'] }, { permissions: [] }],
      ['allowedCidrs', { allowedCidrs: [] }, { allowedCidrs: ['127.0.0.1'] }],
      ['expireTime', { ttl: '6000s' }, soon],
    ] as const) {
      const { id } = await make('gatehouse', { ...held, ...more });
      const update = { key: { id, ...fields }, updateMask: path };
      const { status, body } = await call(clerk.secret, 'KeyService/UpdateKey', update);
      expect([status, body.code], path).toEqual([403, 'permission_denied']);
      expect((await root('KeyService/GetKey', { id })).body.key.revision).toBe('1');
    }
  });

  test('cannot take away or widen its own addresses, nor change those of another that is as narrow', async () => {
    const narrow = {
      permissions: ['keys:update@gatehouse', 'keys:read@gatehouse'],
      allowedCidrs: ['127.0.0.0/8'],
    };
    const [clerk, other] = [await make('gatehouse', narrow), await make('gatehouse', narrow)];
    const update = (id: string, allowedCidrs: string[]) =>
      call(clerk.secret, 'KeyService/UpdateKey', { key: { id, allowedCidrs }, updateMask: 'allowedCidrs' });
    for (const { id } of [clerk, other]) {
      for (const wider of [[], ['0.0.0.0/0'], ['127.0.0.0/8', '192.0.2.0/24'], ['126.0.0.0/7']]) {
        const { status, body } = await update(id, wider);
        expect([status, body.code], wider.join()).toEqual([403, 'permission_denied']);
      }
      const { key } = (await root('KeyService/GetKey', { id })).body;
      expect([key.allowedCidrs, key.revision]).toEqual([['127.0.0.0/8'], '1']);
    }
    expect((await update(other.id, ['127.0.0.1/32'])).status).toBe(200);
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
      ['AuthService/VerifyBatch', { requests: [{ token: target.secret }] }],
    ];
    for (const [method, body] of attempts) {
      expect((await call(reader.secret, method, body)).body.code, method).toBe('permission_denied');
    }
    expect((await call(reader.secret, 'KeyService/GetKey', { id: target.id })).status).toBe(200);
  });

  test('without tokens:verify is refused a batch as a whole, not item by item', async () => {
    const others = await manager('keys:create', 'keys:read', 'keys:update', 'keys:revoke', 'keyspaces:admin');
    const token = (await make('plain')).secret;
    for (const requests of [
      [{ token }],
      [{ token }, { token: '' }, { token, explain: true }, { token, cost: 3 }],
    ]) {
      const { status, body } = await call(others.secret, 'AuthService/VerifyBatch', { requests });
      expect([status, body.code]).toEqual([403, 'permission_denied']);
      expect(body.message).toContain('tokens:verify');
      expect(body.results).toBeUndefined();
    }
    const verifier = await manager('tokens:verify@plain');
    const { results } = (await call(verifier.secret, 'AuthService/VerifyBatch', { requests: [{ token }] }))
      .body;
    expect(results[0].response.valid).toBe(true);
  });

  test('learns nothing of a token in a keyspace that it may not verify', async () => {
    const narrow = await manager('tokens:verify@shop');
    const foreign = await make('plain');
    for (const token of [foreign.secret, `${foreign.secret}x`, 'plain_short', rootKey, 'nowhere_1']) {
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
    const token = rootKey;
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
      'owner_enabled',
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
  test('shows no more of a key than leaves the shortest root key safe', async () => {
    const update = (displayLength: number) =>
      root('KeyspaceService/UpdateKeyspace', {
        keyspace: { id: 'gatehouse', displayLength },
        updateMask: 'displayLength',
      });
    const refused = await update(30);
    expect([refused.status, refused.body.code]).toEqual([400, 'invalid_argument']);
    expect(fieldsOf(refused)).toEqual(['keyspace.display_length']);
    expect((await update(12)).status).toBe(200);
  });

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
