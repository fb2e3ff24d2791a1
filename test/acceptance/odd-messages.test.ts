/** Messages that decode and are odd: refused with the field, and no harm to what others read later. */

import { create, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CreateKeyRequestSchema } from '../../src/gen/gatehouse/v1/key_service_pb.js';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';

let gatehouse: Gatehouse;

beforeAll(async () => {
  gatehouse = await startGatehouse();
});
afterAll(() => gatehouse.remove());

function call(method: string, body: unknown) {
  return callJson(gatehouse, method, body, { key: gatehouse.rootKey });
}

describe('an expire_time whose nanos are out of range', () => {
  test('is refused, so that the key breaks nobody’s lists and batches', async () => {
    // 9999-12-31T23:59:58Z and 2.1 seconds: past what JSON can write.
    const expiry = {
      case: 'expireTime' as const,
      value: { seconds: 253_402_300_798n, nanos: 2_147_483_647 },
    };
    const message = create(CreateKeyRequestSchema, { keyspace: 'default', name: 'x', expiry });
    const response = await fetch(`${gatehouse.http}/gatehouse.v1.KeyService/CreateKey`, {
      method: 'POST',
      headers: { 'content-type': 'application/proto', authorization: `Bearer ${gatehouse.rootKey}` },
      body: new Uint8Array(toBinary(CreateKeyRequestSchema, message)),
    });
    await response.arrayBuffer();
    const listed = await call('KeyService/ListKeys', {});
    expect([response.status, listed.status]).toEqual([400, 200]);
  });
});

describe('far too many entries in a body of less than 64 KiB', () => {
  test.each([
    ['metadata', Object.fromEntries(Array.from({ length: 6000 }, (_, index) => [index.toString(36), '']))],
    ['rateLimits', Array.from({ length: 21_000 }, () => ({}))],
  ])('%s: INVALID_ARGUMENT, not INTERNAL', async (field, value) => {
    const answer = await call('KeyService/CreateKey', { keyspace: 'default', name: 'x', [field]: value });
    expect([answer.status, answer.body.code]).toEqual([400, 'invalid_argument']);
  });
});
