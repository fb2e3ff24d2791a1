/** Owners and the revocation of many keys, over both ports of the real service. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGrpcClient } from '../../src/client/grpc.ts';
import { AuthService, VerifyStatus } from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { KeyState } from '../../src/gen/gatehouse/v1/key_pb.js';
import { KeyService } from '../../src/gen/gatehouse/v1/key_service_pb.js';
import { OwnerService } from '../../src/gen/gatehouse/v1/owner_service_pb.js';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';

let gatehouse: Gatehouse;

beforeAll(async () => {
  gatehouse = await startGatehouse();
});
afterAll(() => gatehouse.remove());

const json = async (method: string, body: object) => {
  const answer = await callJson(gatehouse, method, body, { key: gatehouse.rootKey });
  if (answer.status !== 200) throw new Error(`${method}: ${answer.body?.message}`);
  return answer.body;
};

async function make(owner: string, fields: object = {}): Promise<{ id: string; secret: string }> {
  const place = { keyspace: 'default', name: 'x', owner: { kind: 'user', id: owner } };
  const { key, secret } = await json('KeyService/CreateKey', { ...place, ...fields });
  return { id: key.id, secret };
}

describe('over JSON', () => {
  const owner = { keyspace: 'default', kind: 'user', id: 'json' };
  const update = (fields: object, updateMask: string, more: object = {}) =>
    json('OwnerService/UpdateOwner', { owner: { ...owner, ...fields }, updateMask, ...more });
  const verify = (token: string, permissions: string[] = []) =>
    json('AuthService/Verify', { token, permissions });

  test('a bound, present and empty, takes everything, and absent nothing', async () => {
    const { secret } = await make('json', { permissions: ['docs:*'] });
    const made = await update({ permissionBound: { permissions: [] } }, 'permissionBound', {
      expectedRevision: 0,
    });
    expect(made.owner).toMatchObject({
      ...owner,
      permissionBound: { permissions: [] },
      revision: '1',
      generation: '0',
    });
    expect(made.propagation).toBeDefined();
    expect((await verify(secret, ['docs:read'])).status).toBe('VERIFY_STATUS_INSUFFICIENT_PERMISSIONS');
    expect((await verify(secret)).principal.permissions).toEqual([]);
    const opened = await update({}, 'permissionBound', { expectedRevision: 1 });
    expect(opened.owner.permissionBound).toBeUndefined();
    expect((await verify(secret, ['docs:read'])).valid).toBe(true);
  });

  test('a key that inherits shows it, and its permissions are the bound’s', async () => {
    const { id, secret } = await make('json', { inheritOwnerPermissions: true });
    await update({ permissionBound: { permissions: ['docs:read'] } }, 'permissionBound');
    const { key } = await json('KeyService/GetKey', { id });
    expect(key).toMatchObject({ inheritOwnerPermissions: true, permissions: [] });
    expect((await verify(secret)).principal.permissions).toEqual(['docs:read']);
  });

  test('a disabled owner is a status of its own, and its keys are listed as they are', async () => {
    const { id, secret } = await make('json');
    await update({ disabled: true }, 'disabled');
    expect((await verify(secret)).status).toBe('VERIFY_STATUS_OWNER_DISABLED');
    expect((await json('KeyService/GetKey', { id })).key.state).toBe('KEY_STATE_ACTIVE');
    await update({ disabled: false }, 'disabled');
    expect((await verify(secret)).valid).toBe(true);
  });

  test('owners are read and listed', async () => {
    await update({ disabled: true }, 'disabled');
    expect((await json('OwnerService/GetOwner', owner)).owner).toMatchObject({ ...owner, disabled: true });
    const { owners } = await json('OwnerService/ListOwners', { keyspace: 'default', disabled: true });
    expect(owners.map((one: { id: string }) => one.id)).toEqual(['json']);
    await update({ disabled: false }, 'disabled');
    expect((await json('OwnerService/ListOwners', { disabled: true })).owners).toEqual([]);
  });

  test('a dry run, a count and an expected count go together', async () => {
    for (let made = 0; made < 3; made++) await make('counted');
    const target = { keyspace: 'default', owner: { kind: 'user', id: 'counted' } };
    const dry = await json('KeyService/RevokeKeys', { ...target, dryRun: true });
    expect([dry.count, dry.sample.length, dry.propagation]).toEqual([3, 3, undefined]);
    const expectedCount = dry.count;
    const done = await json('KeyService/RevokeKeys', { ...target, reason: 'left', expectedCount });
    expect(done).toMatchObject({ count: 3, failures: [], replayed: false });
    for (const key of done.sample)
      expect(key).toMatchObject({ state: 'KEY_STATE_REVOKED', revokeReason: 'left' });
  });

  test('the log tells a dry run from what revoked', async () => {
    // No other test revokes so many.
    const lines = () =>
      [...gatehouse.output().stdout.matchAll(/^\{.*\/RevokeKeys".*"count":5\b.*$/gm)].map(([line]) =>
        JSON.parse(line),
      );
    for (let made = 0; made < 5; made++) await make('logged');
    const target = { owner: { kind: 'user', id: 'logged' } };
    await json('KeyService/RevokeKeys', { ...target, keyspace: 'default', dryRun: true });
    await json('KeyService/RevokeKeys', target);
    await expect.poll(() => lines().length).toBe(2);
    const [dry, done] = lines();
    expect(dry).toMatchObject({ code: 'OK', keyspace: 'default', dry_run: true });
    expect(done).toMatchObject({ code: 'OK' });
    expect(['keyspace' in done, 'dry_run' in done]).toEqual([false, false]);
  });
});

describe('over gRPC', () => {
  test('not_before and RevokeKeys revoke, and what is made afterwards lives', async () => {
    const options = { token: gatehouse.rootKey };
    const owners = createGrpcClient(OwnerService, gatehouse.grpc, options);
    const keys = createGrpcClient(KeyService, gatehouse.grpc, options);
    const auth = createGrpcClient(AuthService, gatehouse.grpc, options);
    const status = async (token: string) => (await auth.verify({ token })).status;
    const owner = { kind: 'user', id: 'grpc' };

    const first = await make('grpc');
    const { owner: changed } = await owners.updateOwner({
      owner: { keyspace: 'default', ...owner, notBefore: { seconds: 1n, nanos: 0 } },
      updateMask: { paths: ['not_before'] },
    });
    expect([changed?.generation, changed?.notBefore?.seconds]).toEqual([1n, 1n]);
    expect(await status(first.secret)).toBe(VerifyStatus.REVOKED);

    const second = await make('grpc');
    expect(await status(second.secret)).toBe(VerifyStatus.VALID);
    const { count, sample } = await keys.revokeKeys({ keyspace: 'default', owner });
    expect([count, sample[0]?.id, sample[0]?.state]).toEqual([1, second.id, KeyState.REVOKED]);
    expect(await status(second.secret)).toBe(VerifyStatus.REVOKED);
    expect(await status((await make('grpc')).secret)).toBe(VerifyStatus.VALID);
    for (const client of [owners, keys, auth]) client.close();
  });

  test('all of a keyspace goes by one call, and the caller stays', async () => {
    const [one, other] = [await make('a'), await make('b')];
    const keys = createGrpcClient(KeyService, gatehouse.grpc, { token: gatehouse.rootKey });
    await keys.revokeKeys({ keyspace: 'default', all: true });
    const { keys: live } = await keys.listKeys({ keyspace: 'default', states: [KeyState.ACTIVE] });
    expect(live).toEqual([]);
    for (const { secret } of [one, other]) {
      expect((await json('AuthService/Verify', { token: secret })).status).toBe('VERIFY_STATUS_REVOKED');
    }
    expect((await make('a')).id).toBeDefined();
    keys.close();
  });
});
