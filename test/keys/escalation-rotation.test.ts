/** What rotating, and turning in a secret, might give away, tried against the real service. */

import { beforeAll, describe, expect, test } from 'vitest';
import type { JsonAnswer } from '../support/gatehouse.ts';
import { type Made, OWNER, useShop } from '../support/shop.ts';

const { call, root, make, manager, rootKey } = useShop();

const rotate = (by: string, { id }: Pick<Made, 'id'>, more: object = {}) =>
  call(by, 'KeyService/RotateKey', { id, ...more });
const statusOf = async (token: string) => {
  const keyspaces = ['shop', 'plain', 'gated', 'gatehouse'];
  const question = { token, keyspaces, context: { clientIp: '127.0.0.1' } };
  return (await root('AuthService/Verify', question)).body.status;
};
const reasonOf = ({ body }: JsonAnswer) =>
  body.details?.find((detail: { type: string }) => detail.type.endsWith('ErrorInfo'))?.debug?.reason;

async function expectUntouched(key: Made): Promise<void> {
  expect(await statusOf(key.secret)).toBe('VERIFY_STATUS_VALID');
  expect((await root('KeyService/GetKey', { id: key.id })).body.key.revision).toBe('1');
}

describe('a self-service key', () => {
  const held = { owner: OWNER, permissions: ['orders:*'], allowedCidrs: ['127.0.0.0/8'], ttl: '3600s' };
  let alice: Made;
  beforeAll(async () => {
    alice = await make('shop', held);
  });

  test.each([
    ['more permissions', { permissions: ['orders:*', 'stock:read'] }],
    ['a wider permission', { permissions: ['*'] }],
    ['wider addresses', { allowedCidrs: ['0.0.0.0/0'] }],
    ['no addresses', { allowedCidrs: [] }],
    ['other addresses', { allowedCidrs: ['127.0.0.0/8', '192.0.2.1'] }],
    ['a longer life', { ttl: '7200s' }],
    ['an endless life', { ttl: undefined, neverExpires: true }],
  ])('does not rotate a key of its owner with %s', async (_what, more) => {
    const key = await make('shop', { ...held, ttl: '1800s', ...more });
    const answer = await rotate(alice.secret, key, { overlap: '60s' });
    expect([answer.status, reasonOf(answer), answer.body.secret]).toEqual([
      403,
      'HOLDS_MORE_THAN_CALLER',
      undefined,
    ]);
    await expectUntouched(key);
  });

  test.each([
    ['of another owner', 'shop', { owner: { kind: 'user', id: 'bob' } }],
    ['of its owner’s namesake', 'shop', { owner: { kind: 'team', id: 'alice' } }],
    ['of nobody', 'shop', {}],
    ['of its owner in another keyspace', 'plain', { owner: OWNER }],
    ['of another keyspace with self-service', 'gated', { owner: OWNER }],
    ['of the reserved keyspace', 'gatehouse', { permissions: ['keys:read'] }],
  ])('knows of no key %s', async (_what, keyspace, more) => {
    const key = await make(keyspace, { ttl: '60s', ...more });
    const unknown = await rotate(alice.secret, { id: 'key_nowhere' });
    const answer = await rotate(alice.secret, key);
    expect(answer.status).toBe(404);
    expect(answer.body.message.replace(key.id, 'key_nowhere')).toBe(unknown.body.message);
    await expectUntouched(key);
  });

  test('that is bound to a project rotates keys of that project only', async () => {
    const bound = await make('shop', { owner: OWNER, project: 'a' });
    const [same, other, unbound] = [
      await make('shop', { owner: OWNER, project: 'a' }),
      await make('shop', { owner: OWNER, project: 'b' }),
      await make('shop', { owner: OWNER }),
    ];
    for (const key of [other, unbound]) expect((await rotate(bound.secret, key)).status).toBe(404);
    expect((await rotate(bound.secret, same)).status).toBe(200);
  });

  test('rotates a key that holds as much or less, and itself, and is named as the parent', async () => {
    const less = await make('shop', { ...held, permissions: ['orders:read'], ttl: '1800s' });
    const { body } = await rotate(alice.secret, less);
    expect(body.key.parentKeyId).toBe(alice.id);
    expect(await statusOf(less.secret)).toBe('VERIFY_STATUS_NOT_FOUND');
    const own = await make('shop', held);
    expect((await rotate(own.secret, own)).status).toBe(200);
  });

  test('without an owner, without the permission, or where there is no self-service, rotates nothing, not even itself', async () => {
    const keys = [
      await make('shop'),
      await make('plain', { owner: OWNER }),
      await make('gated', { owner: OWNER, permissions: ['keys:rotate'] }),
    ];
    for (const key of keys) {
      const answer = await rotate(key.secret, key);
      expect([answer.status, reasonOf(answer)]).toEqual([403, 'PERMISSION_MISSING']);
      await expectUntouched(key);
    }
  });

  test('that may be outlived rotates a key that lives longer', async () => {
    const key = { owner: OWNER, permissions: ['keys:manage'] };
    const [short, endless] = [await make('gated', { ...key, ttl: '60s' }), await make('gated', key)];
    expect((await rotate(short.secret, endless)).status).toBe(200);
  });

  test('neither ends nor cuts short the overlap of a key in an update', async () => {
    const key = await make('shop', held);
    await root('KeyService/RotateKey', { id: key.id, overlap: '60s' });
    const answer = await call(alice.secret, 'KeyService/UpdateKey', {
      key: { id: key.id },
      updateMask: 'previousSecret',
    });
    expect([answer.status, reasonOf(answer)]).toEqual([403, 'FIELD_NOT_YOURS']);
    expect(await statusOf(key.secret)).toBe('VERIFY_STATUS_VALID');
  });

  test('whose secret was replaced without an overlap rotates nothing with the old one', async () => {
    const key = await make('shop', { owner: OWNER });
    await rotate(key.secret, key);
    expect((await rotate(key.secret, key)).status).toBe(401);
  });
});

describe('a management key', () => {
  test('needs keys:rotate, in the keyspace of the key', async () => {
    const key = await make('shop');
    const others = await manager('keys:create', 'keys:read', 'keys:update', 'keys:revoke', 'keyspaces:admin');
    const elsewhere = await manager('keys:rotate@plain', 'keys:read');
    expect(reasonOf(await rotate(others.secret, key))).toBe('PERMISSION_MISSING');
    expect((await rotate(elsewhere.secret, key)).status).toBe(404);
    await expectUntouched(key);
    expect((await rotate((await manager('keys:rotate@shop')).secret, key)).status).toBe(200);
  });

  test('that is not narrowed to the reserved keyspace rotates no key there', async () => {
    const wide = await manager('keys:rotate', 'keys:read');
    const victim = await manager('keys:rotate');
    expect((await rotate(wide.secret, victim)).status).toBe(404);
    // Not even itself.
    expect((await rotate(wide.secret, wide)).status).toBe(404);
  });

  test('rotates no management key that holds more: permissions, addresses or life', async () => {
    const clerk = await make('gatehouse', {
      permissions: ['keys:rotate@gatehouse', 'keys:read'],
      allowedCidrs: ['127.0.0.0/8'],
      ttl: '600s',
    });
    const held = { permissions: ['keys:read'], allowedCidrs: ['127.0.0.1'], ttl: '60s' };
    for (const more of [
      { permissions: ['*'] },
      { permissions: ['keys:revoke@shop'] },
      { allowedCidrs: [] },
      { ttl: '6000s' },
      { ttl: undefined, neverExpires: true },
    ]) {
      const key = await make('gatehouse', { ...held, ...more });
      const answer = await rotate(clerk.secret, key);
      expect([answer.status, reasonOf(answer)]).toEqual([403, 'HOLDS_MORE_THAN_CALLER']);
      expect((await root('KeyService/GetKey', { id: key.id })).body.key.revision).toBe('1');
    }
    expect((await rotate(clerk.secret, await make('gatehouse', held))).status).toBe(200);
  });

  test('that is narrowed after a rotation is not told of it again', async () => {
    const clerk = await manager('keys:rotate@shop', 'keys:create@shop', 'keys:read');
    const key = await make('shop');
    const rotation = { requestId: 'r1', overlap: '60s' };
    const creation = { keyspace: 'shop', name: 'once', requestId: 'r1' };
    expect((await rotate(clerk.secret, key, rotation)).body.replayed).toBe(false);
    expect((await call(clerk.secret, 'KeyService/CreateKey', creation)).body.replayed).toBe(false);
    const replay = async () => [
      await rotate(clerk.secret, key, rotation),
      await call(clerk.secret, 'KeyService/CreateKey', creation),
    ];
    for (const { body } of await replay()) expect([body.replayed, body.secret]).toEqual([true, '']);

    const narrow = (permissions: string[]) =>
      root('KeyService/UpdateKey', { key: { id: clerk.id, permissions }, updateMask: 'permissions' });
    await narrow(['keys:read']);
    for (const answer of await replay()) expect(reasonOf(answer)).toBe('PERMISSION_MISSING');
    await narrow(['keys:rotate@plain', 'keys:create@plain']);
    for (const answer of await replay()) {
      expect([answer.status, answer.body.key]).toEqual([404, undefined]);
    }
    await root('KeyService/RevokeKey', { id: clerk.id });
    for (const answer of await replay()) expect(answer.status).toBe(401);
  });

  test('that became another’s by a change of project is not shown what it made before', async () => {
    const maker = await make('shop', { owner: OWNER, project: 'a' });
    const creation = { keyspace: 'shop', name: 'once', requestId: 'r1' };
    expect((await call(maker.secret, 'KeyService/CreateKey', creation)).status).toBe(200);
    const moved = { key: { id: maker.id, project: 'b' }, updateMask: 'project' };
    await root('KeyService/UpdateKey', moved);
    expect((await call(maker.secret, 'KeyService/CreateKey', creation)).status).toBe(404);
  });
});

describe('turning in a secret', () => {
  const turnIn = (by: string, secret: string, more: object = {}) =>
    call(by, 'KeyService/RevokeKey', { secret, ...more });

  test('is open to its holder and to every other caller, whatever they may do', async () => {
    const finders = [
      async (own: Made) => own.secret,
      async () => (await make('shop', { owner: { kind: 'user', id: 'bob' } })).secret,
      async () => (await make('plain')).secret,
      async () => (await manager('tokens:verify@gated')).secret,
    ];
    for (const finder of finders) {
      const key = await make('plain', { name: 'lost' });
      const { status, body } = await turnIn(await finder(key), ` Bearer ${key.secret} `, { reason: 'found' });
      expect([status, body.key.state, body.key.revokeReason]).toEqual([200, 'KEY_STATE_REVOKED', 'found']);
      expect(await statusOf(key.secret)).toBe('VERIFY_STATUS_REVOKED');
      // A second time is fine, for whoever is still a caller.
      expect((await turnIn(rootKey, key.secret)).status).toBe(200);
    }
  });

  test('needs a caller', async () => {
    const key = await make('plain');
    const nobody = await call(`ghm_${'x'.repeat(43)}`, 'KeyService/RevokeKey', { secret: key.secret });
    expect(nobody.status).toBe(401);
    await expectUntouched(key);
  });

  test('ends a management key too, the root’s helpers included', async () => {
    const strong = await manager('*');
    const finder = await make('plain');
    expect((await turnIn(finder.secret, strong.secret)).status).toBe(200);
    expect((await call(strong.secret, 'KeyService/ListKeys', {})).status).toBe(401);
  });

  test('works with a replaced secret within its overlap, which ends the whole key, and not after it', async () => {
    const [one, other] = [await make('plain'), await make('plain')];
    const finder = await make('plain');
    const { secret } = (await root('KeyService/RotateKey', { id: one.id, overlap: '60s' })).body;
    expect((await turnIn(finder.secret, one.secret)).status).toBe(200);
    expect(await statusOf(secret)).toBe('VERIFY_STATUS_REVOKED');
    const next = (await root('KeyService/RotateKey', { id: other.id })).body.secret;
    expect((await turnIn(finder.secret, other.secret)).status).toBe(404);
    expect(await statusOf(next)).toBe('VERIFY_STATUS_VALID');
  });

  test('that opens no key says the same, whatever is wrong with it', async () => {
    const finder = await make('plain');
    const key = await make('shop');
    const wrong = [
      `${key.secret.slice(0, -1)}${key.secret.endsWith('0') ? '1' : '0'}`,
      key.secret.slice(0, -1),
      'shop_',
      'nowhere_1',
      `ghm_${'x'.repeat(43)}`,
      'a b',
      '\u202e',
      'eyJhbGciOiJub25lIn0.e30.',
    ];
    const answers = await Promise.all(wrong.map((secret) => turnIn(finder.secret, secret)));
    for (const { status, body } of answers) {
      expect([status, body]).toEqual([404, answers[0]?.body]);
    }
  });

  test('shows descendants to those who could have listed them, and to nobody else', async () => {
    const maker = await make('shop', { owner: OWNER });
    const child = async () =>
      (await call(maker.secret, 'KeyService/CreateKey', { keyspace: 'shop', name: 'child' })).body.key.id;
    const id = await child();
    const stranger = await make('plain');
    // The secret of a key that works shows what the key itself could list.
    const first = (await turnIn(stranger.secret, maker.secret)).body;
    expect([first.liveDescendantsSize, first.liveDescendants[0]?.id]).toEqual([1, id]);
    // One that works no more shows nothing, and revokes nothing.
    const again = (await turnIn(stranger.secret, maker.secret)).body;
    expect([again.liveDescendantsSize, again.liveDescendants]).toEqual([1, []]);
    const family = await turnIn(stranger.secret, maker.secret, { includeDescendants: true });
    expect([family.status, reasonOf(family)]).toEqual([403, 'PERMISSION_MISSING']);
    const { key } = (await root('KeyService/GetKey', { id })).body;
    expect(key.state).toBe('KEY_STATE_ACTIVE');
    // Who may revoke the key by its id may do so.
    const sister = await make('shop', { owner: OWNER });
    const byOwner = await turnIn(sister.secret, maker.secret, { includeDescendants: true });
    expect([byOwner.status, byOwner.body.liveDescendantsSize]).toEqual([200, 0]);
    expect((await root('KeyService/GetKey', { id })).body.key.state).toBe('KEY_STATE_REVOKED');
  });

  test.each(['disabled', 'expired'])('of a %s key neither shows nor revokes what it made', async (state) => {
    const maker = await make('shop', { owner: OWNER });
    await call(maker.secret, 'KeyService/CreateKey', { keyspace: 'shop', name: 'child' });
    const end = { expireTime: new Date(Date.now() + 300).toISOString() };
    const [fields, updateMask] = state === 'expired' ? [end, 'expireTime'] : [{ disabled: true }, 'disabled'];
    await root('KeyService/UpdateKey', { key: { id: maker.id, ...fields }, updateMask });
    await expect.poll(() => statusOf(maker.secret)).toBe(`VERIFY_STATUS_${state.toUpperCase()}`);
    const stranger = await make('plain');
    const family = await turnIn(stranger.secret, maker.secret, { includeDescendants: true });
    expect(reasonOf(family)).toBe('PERMISSION_MISSING');
    // Nothing was done by half.
    expect(await statusOf(maker.secret)).toBe(`VERIFY_STATUS_${state.toUpperCase()}`);
    const { body } = await turnIn(stranger.secret, maker.secret);
    expect([body.key.state, body.liveDescendants]).toEqual(['KEY_STATE_REVOKED', []]);
  });

  test('with include_descendants ends the keys that it made', async () => {
    const maker = await make('shop', { owner: OWNER });
    const child = (await call(maker.secret, 'KeyService/CreateKey', { keyspace: 'shop', name: 'child' }))
      .body;
    const { body } = await turnIn(maker.secret, maker.secret, { includeDescendants: true });
    expect(body.liveDescendantsSize).toBe(0);
    expect(await statusOf(child.secret)).toBe('VERIFY_STATUS_REVOKED');
  });

  test('works wherever it was found, and ends the family, though its addresses keep it from being used there', async () => {
    const maker = await make('shop', { owner: OWNER, allowedCidrs: ['127.0.0.1'] });
    const child = (await call(maker.secret, 'KeyService/CreateKey', { keyspace: 'shop', name: 'child' }))
      .body;
    const narrowed = { key: { id: maker.id, allowedCidrs: ['192.0.2.1'] }, updateMask: 'allowedCidrs' };
    await root('KeyService/UpdateKey', narrowed);
    const stranger = await make('plain');
    const { status } = await turnIn(stranger.secret, maker.secret, { includeDescendants: true });
    expect(status).toBe(200);
    expect(await statusOf(child.secret)).toBe('VERIFY_STATUS_REVOKED');
  });
});
