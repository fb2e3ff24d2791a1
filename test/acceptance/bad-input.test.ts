/** What bad input gets: the right code, the field's path, one clear sentence. And the service goes on. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { callJson, fieldsOf, type Gatehouse, type JsonAnswer, startGatehouse } from '../support/gatehouse.ts';

let gatehouse: Gatehouse;

beforeAll(async () => {
  gatehouse = await startGatehouse();
});
afterAll(() => gatehouse.remove());

function call(method: string, body: unknown, headers: Record<string, string> = {}): Promise<JsonAnswer> {
  return callJson(gatehouse, method, body, { key: gatehouse.rootKey, headers });
}

/** A keyspace that is good but for what `fields` changes. */
function keyspace(fields: object): object {
  return {
    keyspace: {
      id: 'shop',
      prefix: 'shop_',
      alphabet: 'ALPHABET_BASE62',
      secretLength: 32,
      hash: 'HASH_ALGORITHM_SHA256',
      ...fields,
    },
  };
}

const create = (fields: object) => ({ keyspace: 'default', name: 'x', ...fields });
const update = (fields: object, updateMask: string) => ({ key: { id: 'key_1', ...fields }, updateMask });

const owner = (fields: object, updateMask: string) => ({
  owner: { keyspace: 'default', kind: 'user', id: '1', ...fields },
  updateMask,
});

describe('a bad field is named', () => {
  test.each([
    ['KeyService/CreateKey', create({ keyspace: '' }), 'keyspace'],
    ['KeyService/CreateKey', create({ keyspace: 'UPPER' }), 'keyspace'],
    ['KeyService/CreateKey', create({ name: '' }), 'name'],
    ['KeyService/CreateKey', create({ name: 'x'.repeat(129) }), 'name'],
    ['KeyService/CreateKey', create({ name: 'a\0b' }), 'name'],
    ['KeyService/CreateKey', create({ name: 'a\nb' }), 'name'],
    [
      'KeyService/CreateKey',
      create({ permissions: Array.from({ length: 10_000 }, () => 'a') }),
      'permissions',
    ],
    ['KeyService/CreateKey', create({ permissions: ['good', 'not good'] }), 'permissions[1]'],
    ['KeyService/CreateKey', create({ permissions: ['docs@read'] }), 'permissions[0]'],
    ['KeyService/CreateKey', create({ owner: { kind: 'User', id: '1' } }), 'owner.kind'],
    ['KeyService/CreateKey', create({ owner: { kind: 'user' } }), 'owner.id'],
    ['KeyService/CreateKey', create({ expireTime: '2020-01-01T00:00:00Z' }), 'expire_time'],
    ['KeyService/CreateKey', create({ ttl: '0s' }), 'ttl'],
    ['KeyService/CreateKey', create({ ttl: '-5s' }), 'ttl'],
    ['KeyService/CreateKey', create({ ttl: '9999999999s' }), 'ttl'],
    ['KeyService/CreateKey', create({ neverExpires: false }), 'never_expires'],
    ['KeyService/CreateKey', create({ allowedCidrs: ['10.0.0.0/8', '10.0.0.0/33'] }), 'allowed_cidrs[1]'],
    ['KeyService/CreateKey', create({ allowedCidrs: ['10.1.2.3/8'] }), 'allowed_cidrs[0]'],
    ['KeyService/CreateKey', create({ metadata: { a: 'x'.repeat(1025) } }), 'metadata["a"]'],
    ['KeyService/CreateKey', create({ permisions: ['read'] }), 'permisions'],
    ['KeyService/CreateKey', create({ owner: { kind: 'user', id: '1', name: 'x' } }), 'owner.name'],
    ['KeyService/CreateKey', create({ name: 5 }), 'name'],
    ['KeyService/GetKey', { id: '' }, 'id'],
    ['KeyService/GetKey', { id: '../etc/passwd' }, 'id'],
    ['KeyService/ListKeys', { pageSize: -1 }, 'page_size'],
    ['KeyService/ListKeys', { pageSize: 1001 }, 'page_size'],
    ['KeyService/ListKeys', { pageToken: 'forged' }, 'page_token'],
    ['KeyService/ListKeys', { states: ['KEY_STATE_UNSPECIFIED'] }, 'states[0]'],
    ['KeyService/UpdateKey', update({ name: 'x' }, ''), 'update_mask'],
    ['KeyService/UpdateKey', update({ name: 'x' }, 'revision'), 'update_mask'],
    ['KeyService/UpdateKey', update({ name: 'x'.repeat(129) }, 'name'), 'key.name'],
    [
      'KeyService/UpdateKey',
      update({ previousSecret: { expireTime: '10000-01-01T00:00:00Z' } }, 'previousSecret'),
      'key.previous_secret.expire_time',
    ],
    [
      'KeyService/UpdateKey',
      { ...update({ name: 'x' }, 'name'), expectedRevision: '0' },
      'expected_revision',
    ],
    ['KeyService/CreateKey', create({ requestId: 'a b' }), 'request_id'],
    ['KeyService/CreateKey', create({ requestId: 'x'.repeat(129) }), 'request_id'],
    ['KeyService/RotateKey', {}, 'id'],
    ['KeyService/RotateKey', { id: 'gate_x' }, 'id'],
    ['KeyService/RotateKey', { id: 'key_1', overlap: '-1s' }, 'overlap'],
    ['KeyService/RotateKey', { id: 'key_1', overlap: '7776001s' }, 'overlap'],
    ['KeyService/RotateKey', { id: 'key_1', overlap: '1d' }, 'overlap'],
    ['KeyService/RotateKey', { id: 'key_1', expectedRevision: '0' }, 'expected_revision'],
    ['KeyService/RotateKey', { id: 'key_1', requestId: 'a\nb' }, 'request_id'],
    ['KeyService/RevokeKey', {}, 'target'],
    ['KeyService/RevokeKey', { secret: '' }, 'secret'],
    ['KeyService/RevokeKey', { secret: 'x'.repeat(8193) }, 'secret'],
    ['KeyService/RevokeKey', { id: 'key_1', reason: 'x'.repeat(513) }, 'reason'],
    ['AuthService/Verify', { token: 'x'.repeat(8193) }, 'token'],
    ['AuthService/Verify', { token: 'x', permissions: ['*'] }, 'permissions[0]'],
    ['AuthService/Verify', { token: 'x', keyspaces: ['No'] }, 'keyspaces[0]'],
    ['AuthService/VerifyBatch', { requests: [] }, 'requests'],
    ['AuthService/VerifyBatch', { requests: Array.from({ length: 101 }, () => ({})) }, 'requests'],
    [
      'KeyspaceService/CreateKeyspace',
      keyspace({ alphabet: 'ALPHABET_HEX', secretLength: 31 }),
      'keyspace.secret_length',
    ],
    ['KeyspaceService/CreateKeyspace', keyspace({ secretLength: 21 }), 'keyspace.secret_length'],
    ['KeyspaceService/CreateKeyspace', keyspace({ displayLength: 24 }), 'keyspace.display_length'],
    ['KeyspaceService/CreateKeyspace', keyspace({ displayLength: 3 }), 'keyspace.display_length'],
    ['KeyspaceService/CreateKeyspace', keyspace({ prefix: 'shop' }), 'keyspace.prefix'],
    ['KeyspaceService/CreateKeyspace', keyspace({ prefix: 'eyJ_' }), 'keyspace.prefix'],
    [
      'KeyspaceService/CreateKeyspace',
      keyspace({ defaultTtl: '20s', maxTtl: '10s' }),
      'keyspace.default_ttl',
    ],
    [
      'KeyspaceService/CreateKeyspace',
      keyspace({ selfServicePermission: '*' }),
      'keyspace.self_service_permission',
    ],
    [
      'KeyspaceService/CreateKeyspace',
      keyspace({ keyDefaults: { permissions: ['a b'] } }),
      'keyspace.key_defaults.permissions[0]',
    ],
    ['KeyService/CreateKey', create({ inheritOwnerPermissions: true }), 'inherit_owner_permissions'],
    [
      'KeyService/CreateKey',
      create({ inheritOwnerPermissions: true, owner: { kind: 'user', id: '1' }, permissions: ['a'] }),
      'permissions',
    ],
    ['KeyService/RevokeKeys', { keyspace: 'default', expectedCount: -1 }, 'expected_count'],
    ['KeyService/RevokeKeys', { keyspace: 'default', owner: { kind: 'user' } }, 'owner.id'],
    ['OwnerService/GetOwner', { keyspace: 'default', kind: 'User', id: '1' }, 'kind'],
    ['OwnerService/GetOwner', { keyspace: 'default', kind: 'user', id: '' }, 'id'],
    ['OwnerService/ListOwners', { pageSize: 1001 }, 'page_size'],
    ['OwnerService/ListOwners', { pageToken: 'forged' }, 'page_token'],
    ['OwnerService/UpdateOwner', { owner: { keyspace: 'default', kind: 'user', id: '1' } }, 'update_mask'],
    ['OwnerService/UpdateOwner', owner({}, 'generation'), 'update_mask'],
    ['OwnerService/UpdateOwner', owner({}, 'notBefore'), 'owner.not_before'],
    [
      'OwnerService/UpdateOwner',
      owner({ permissionBound: { permissions: ['a', 'a b'] } }, 'permissionBound'),
      'owner.permission_bound.permissions[1]',
    ],
    [
      'OwnerService/UpdateOwner',
      owner({ permissionBound: { permissions: ['keys:create@default'] } }, 'permissionBound'),
      'owner.permission_bound.permissions[0]',
    ],
    ['KeyspaceService/CreateKeyspace', keyspace({ secretLenght: 40 }), 'keyspace.secretLenght'],
  ])('%s %j -> %s', async (method, body, field) => {
    const answer = await call(method, body);
    expect([answer.status, answer.body.code]).toEqual([400, 'invalid_argument']);
    expect(
      fieldsOf(answer).some((one) => one === field || one.startsWith(`${field}.`)),
      fieldsOf(answer).join(' '),
    ).toBe(true);
    expect(answer.body.message.split('\n')).toHaveLength(1);
  });
});

describe('what is not there, or not offered', () => {
  test.each([
    ['KeyService/CreateKey', create({ keyspace: 'nowhere' }), 404, 'not_found'],
    ['KeyService/GetKey', { id: 'key_nowhere' }, 404, 'not_found'],
    ['KeyService/RevokeKey', { id: 'key_nowhere' }, 404, 'not_found'],
    ['KeyService/RevokeKey', { secret: 'gate_nowhere' }, 404, 'not_found'],
    ['KeyService/RotateKey', { id: 'key_nowhere' }, 404, 'not_found'],
    ['KeyService/UpdateKey', { key: { id: 'key_nowhere', name: 'x' }, updateMask: 'name' }, 404, 'not_found'],
    ['KeyspaceService/GetKeyspace', { id: 'nowhere' }, 404, 'not_found'],
    ['OwnerService/GetOwner', { keyspace: 'default', kind: 'user', id: 'nobody' }, 404, 'not_found'],
    ['OwnerService/ListOwners', { keyspace: 'nowhere' }, 404, 'not_found'],
    [
      'OwnerService/UpdateOwner',
      { owner: { keyspace: 'gatehouse', kind: 'user', id: '1' }, updateMask: 'disabled' },
      400,
      'failed_precondition',
    ],
    ['KeyService/RevokeKeys', { keyspace: 'nowhere' }, 404, 'not_found'],
    ['KeyService/RevokeKeys', { keyspace: 'gatehouse' }, 400, 'failed_precondition'],
    ['KeyService/RevokeKeys', { keyspace: 'default', expectedCount: 7 }, 400, 'failed_precondition'],
    ['KeyspaceService/CreateKeyspace', keyspace({ id: 'default' }), 409, 'already_exists'],
    ['KeyspaceService/CreateKeyspace', keyspace({ prefix: 'gate_x_' }), 409, 'already_exists'],
    ['KeyspaceService/CreateKeyspace', keyspace({ prefix: 'g_', id: 'ok-prefix' }), 200, undefined],
    [
      'KeyspaceService/CreateKeyspace',
      keyspace({ hash: 'HASH_ALGORITHM_HMAC_SHA256', prefix: 'hm_' }),
      400,
      'failed_precondition',
    ],
    ['KeyspaceService/CreateKeyspace', keyspace({ id: 'gatehouse', prefix: 'x_' }), 409, 'already_exists'],
  ])('%s %j -> %d', async (method, body, status, code) => {
    const answer = await call(method, body);
    expect([answer.status, answer.body.code]).toEqual([status, code]);
  });

  test.each([
    ['KeyService/CreateKey', create({ credits: { remaining: '5' } }), 'credits'],
    ['KeyService/CreateKey', create({ rateLimits: [{ name: 'a', limit: 1, window: '1s' }] }), 'rate_limits'],
    ['KeyService/UpdateKey', update({ credits: { remaining: '5' } }, 'credits'), 'credits'],
    ['AuthService/Verify', { token: 'x', cost: 0 }, 'cost'],
    ['AuthService/Verify', { token: 'x', chargeId: 'c' }, 'charge_id'],
    [
      'KeyspaceService/CreateKeyspace',
      keyspace({ credentialHeaders: ['CREDENTIAL_HEADER_AUTHORIZATION'] }),
      'keyspace.credential_headers',
    ],
    [
      'KeyspaceService/CreateKeyspace',
      keyspace({ selfServiceCallers: ['SELF_SERVICE_CALLER_SESSION'] }),
      'keyspace.self_service_callers',
    ],
    [
      'KeyspaceService/CreateKeyspace',
      keyspace({ keyDefaults: { credits: { remaining: '5' } } }),
      'keyspace.key_defaults.credits',
    ],
    [
      'KeyspaceService/UpdateKeyspace',
      { keyspace: { id: 'default' }, updateMask: 'credentialHeaders' },
      'credential_headers',
    ],
    ['KeyService/AdjustCredits', {}, 'AdjustCredits'],
    ['KeyService/ImportKeys', {}, 'ImportKeys'],
    ['KeyService/RevokeKeys', { keyspace: 'default', requestId: 'r1' }, 'request_id'],
    ['KeyService/RevokeKeys', { keyspace: 'default', project: '' }, 'project'],
    ['KeyService/RevokeKeys', { createdBefore: '2026-01-01T00:00:00Z' }, 'created_before'],
    ['KeyService/RevokeKeys', { lastUsedBefore: '2026-01-01T00:00:00Z' }, 'last_used_before'],
    ['OwnerService/UpdateOwner', owner({ credits: { remaining: '5' } }, 'credits'), 'credits'],
    ['OwnerService/UpdateOwner', owner({}, 'disabled,rateLimits'), 'rate_limits'],
  ])('is refused by name, never ignored: %s %j -> %s', async (method, body, name) => {
    const answer = await call(method, body);
    expect([answer.status, answer.body.code]).toEqual([501, 'unimplemented']);
    expect(answer.body.message).toContain(name);
  });
});

describe('a bad token is an answer, not an error', () => {
  const long = `gate_${'x'.repeat(8000)}`;
  test.each([
    ['', 'MISSING'],
    ['   ', 'MISSING'],
    ['Bearer ', 'MISSING'],
    ['gate_', 'MALFORMED'],
    [long, 'MALFORMED'],
    [`gate_${'0'.repeat(38)}`, 'MALFORMED'],
    ['gate_\0', 'MALFORMED'],
    ['a\0b', 'MALFORMED'],
    ['a b', 'MALFORMED'],
    ['\u202egate', 'MALFORMED'],
    ['nowhere_123', 'NOT_FOUND'],
    ['eyJhbGciOiJub25lIn0.e30.', 'NOT_FOUND'],
    ["' OR 1=1 --".replaceAll(' ', ''), 'NOT_FOUND'],
  ])('%j is %s', async (token, status) => {
    const { body } = await call('AuthService/Verify', { token });
    expect(body).toMatchObject({ valid: false, status: `VERIFY_STATUS_${status}` });
  });

  test('one bad item of a batch has its own error, and the others their answers', async () => {
    const { body } = await call('AuthService/VerifyBatch', {
      requests: [{ token: '' }, { token: 'x'.repeat(9000) }, { token: 'x', cost: 3 }, { token: 'nowhere_1' }],
    });
    expect(body.results[0].response.status).toBe('VERIFY_STATUS_MISSING');
    expect(body.results[1].error.code).toBe(3);
    expect(body.results[2].error.code).toBe(12);
    expect(body.results[3].response.status).toBe('VERIFY_STATUS_NOT_FOUND');
  });
});

describe('a body that is none', () => {
  test.each([
    ['a megabyte', JSON.stringify(create({ name: 'x'.repeat(1 << 20) })), 429, 'resource_exhausted'],
    ['a token of 100 KiB', JSON.stringify({ token: 'x'.repeat(100 << 10) }), 429, 'resource_exhausted'],
    ['no JSON', '{"name": ', 400, 'invalid_argument'],
    ['an array', '[]', 400, 'invalid_argument'],
    ['null', 'null', 400, 'invalid_argument'],
    ['an unpaired surrogate', '{"keyspace":"default","name":"\\ud800"}', 400, 'invalid_argument'],
    ['very deep nesting', `${'{"owner":'.repeat(5000)}1${'}'.repeat(5000)}`, 400, 'invalid_argument'],
    [
      'deep nesting in an array',
      `{"name":${'['.repeat(20_000)}${']'.repeat(20_000)}}`,
      400,
      'invalid_argument',
    ],
  ])('%s -> %d', async (_what, body, status, code) => {
    const answer = await call('KeyService/CreateKey', body);
    expect([answer.status, answer.body.code]).toEqual([status, code]);
  });
});

afterEach(async () => {
  // Whatever was sent, the service goes on.
  expect((await call('KeyService/ListKeys', { pageSize: 1 })).status).toBe(200);
});
