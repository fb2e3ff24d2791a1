/** The life of a key over every way in: gRPC by grpc-js, gRPC by grpcurl, JSON. The same answers and the same errors. */

import { execFileSync } from 'node:child_process';
import { toJson } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGrpcClient } from '../../src/client/grpc.ts';
import { RpcError } from '../../src/client/rpc-error.ts';
import { AuthService, VerifyResponseSchema } from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { GetKeyResponseSchema, KeyService } from '../../src/gen/gatehouse/v1/key_service_pb.js';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';

let gatehouse: Gatehouse;

beforeAll(async () => {
  gatehouse = await startGatehouse();
});
afterAll(() => gatehouse.remove());

const json = (method: string, body: unknown) => callJson(gatehouse, method, body, { key: gatehouse.rootKey });

describe('gRPC and JSON', () => {
  test('give the same answers to the same questions', async () => {
    const keys = createGrpcClient(KeyService, gatehouse.grpc, { token: gatehouse.rootKey });
    const auth = createGrpcClient(AuthService, gatehouse.grpc, { token: gatehouse.rootKey });
    const { key, secret } = await keys.createKey({
      keyspace: 'default',
      name: 'both',
      owner: { kind: 'user', id: '1' },
      permissions: ['docs:*'],
      metadata: { plan: 'free' },
      allowedCidrs: ['192.0.2.0/24'],
    });
    const question = {
      token: secret,
      permissions: ['docs:read', 'mail:read'],
      context: { clientIp: '192.0.2.7' },
    };
    const answer = toJson(VerifyResponseSchema, await auth.verify(question), { alwaysEmitImplicit: true });
    expect(answer).toMatchObject({
      status: 'VERIFY_STATUS_INSUFFICIENT_PERMISSIONS',
      missingPermissions: ['mail:read'],
    });
    expect((await json('AuthService/Verify', question)).body).toEqual(answer);

    const got = toJson(GetKeyResponseSchema, await keys.getKey({ id: key?.id ?? '' }), {
      alwaysEmitImplicit: true,
    });
    expect((await json('KeyService/GetKey', { id: key?.id })).body).toEqual(got);
    keys.close();
    auth.close();
  });

  test('give the same errors, with code, reason and field paths', async () => {
    const keys = createGrpcClient(KeyService, gatehouse.grpc, { token: gatehouse.rootKey });
    const refusals = [
      keys.createKey({ keyspace: 'default', name: '', permissions: ['a b'] }),
      keys.createKey({ keyspace: 'nowhere', name: 'x' }),
      keys.createKey({ keyspace: 'default', name: 'x', credits: { remaining: 5n } }),
      keys.getKey({ id: 'key_nowhere' }),
      keys.getKey({ id: 'key_nowhere' }, { metadata: { authorization: 'Bearer ghm_wrong' } }),
    ].map((call) => call.then(() => undefined, errorOf));
    expect(await Promise.all(refusals)).toEqual([
      { code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELD', fields: ['name', 'permissions[0]'] },
      { code: 'NOT_FOUND', reason: 'NOT_FOUND', fields: [] },
      { code: 'UNIMPLEMENTED', reason: 'NOT_OFFERED', fields: [] },
      { code: 'NOT_FOUND', reason: 'NOT_FOUND', fields: [] },
      { code: 'UNAUTHENTICATED', reason: 'CREDENTIALS_INVALID', fields: [] },
    ]);
    const { body } = await json('KeyService/CreateKey', { keyspace: 'default', permissions: ['a b'] });
    const fields = body.details.flatMap((detail: { debug: { fieldViolations?: { field: string }[] } }) =>
      (detail.debug.fieldViolations ?? []).map((violation) => violation.field),
    );
    expect([body.code, fields]).toEqual(['invalid_argument', ['name', 'permissions[0]']]);
    keys.close();
  });

  test('are both there for a change that the other made, at once', async () => {
    const auth = createGrpcClient(AuthService, gatehouse.grpc, { token: gatehouse.rootKey });
    for (let round = 0; round < 50; round++) {
      const { key, secret } = (await json('KeyService/CreateKey', { keyspace: 'default', name: 'x' })).body;
      expect((await auth.verify({ token: secret })).valid).toBe(true);
      await json('KeyService/RevokeKey', { id: key.id });
      expect((await auth.verify({ token: secret })).valid).toBe(false);
    }
    auth.close();
  });
});

function errorOf(error: unknown) {
  if (!(error instanceof RpcError)) throw error;
  return { code: error.code, reason: error.reason, fields: error.violations.map(({ field }) => field) };
}

const grpcurl = process.env.GATEHOUSE_TEST_GRPCURL ?? '';

describe.skipIf(grpcurl === '')('grpcurl alone', () => {
  const run = (...args: string[]) =>
    execFileSync(grpcurl, ['-plaintext', '-H', `authorization: Bearer ${gatehouse.rootKey}`, ...args], {
      encoding: 'utf8',
    });
  const call = (method: string, body: object) =>
    JSON.parse(run('-d', JSON.stringify(body), gatehouse.grpc, `gatehouse.v1.${method}`));

  test('lists and describes all services', () => {
    const services = run(gatehouse.grpc, 'list').trim().split('\n');
    expect(services).toEqual(
      expect.arrayContaining([
        'gatehouse.v1.AuthService',
        'gatehouse.v1.KeyService',
        'gatehouse.v1.KeyspaceService',
        'gatehouse.v1.OwnerService',
        'grpc.health.v1.Health',
      ]),
    );
    for (const service of services)
      expect(run(gatehouse.grpc, 'describe', service)).toContain('is a service');
    expect(run(gatehouse.grpc, 'describe', 'gatehouse.v1.Keyspace')).toContain('secret_length');
  });

  test('creates, verifies, lists and revokes a key', () => {
    const { key, secret } = call('KeyService/CreateKey', { keyspace: 'default', name: 'by grpcurl' });
    expect(call('AuthService/Verify', { token: secret }).valid).toBe(true);
    const { keys } = call('KeyService/ListKeys', { name_contains: 'BY GRPCURL' });
    expect(keys.map((one: { id: string }) => one.id)).toEqual([key.id]);
    expect(call('KeyService/RevokeKey', { id: key.id }).key.state).toBe('KEY_STATE_REVOKED');
    expect(call('AuthService/Verify', { token: secret }).status).toBe('VERIFY_STATUS_REVOKED');
  });
});
