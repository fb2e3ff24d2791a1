/**
 * A call whose headers are in and whose body is held back: its caller was authenticated long before anything is done.
 * What happened to the calling key meanwhile counts.
 */

import http from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';

let gatehouse: Gatehouse;

beforeAll(async () => {
  gatehouse = await startGatehouse();
});
afterAll(() => gatehouse.remove());

// biome-ignore lint/suspicious/noExplicitAny: the answers' shape is what the tests assert
type Body = any;

async function asRoot(method: string, body: unknown): Promise<Body> {
  const answer = await callJson(gatehouse, method, body, { key: gatehouse.rootKey });
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body;
}

/** Sends the headers of a call and waits until the service has taken them. @returns what sends the body. */
async function begin(
  method: string,
  body: unknown,
  key: string,
): Promise<() => Promise<{ status: number; body: Body }>> {
  const text = JSON.stringify(body);
  const request = http.request(`${gatehouse.http}/gatehouse.v1.${method}`, {
    method: 'POST',
    agent: false,
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${key}`,
      'content-length': Buffer.byteLength(text),
      'connect-timeout-ms': '60000',
      // The answer to this says that the headers are in.
      expect: '100-continue',
    },
  });
  const taken = new Promise((resolve) => request.once('continue', resolve));
  const answer = new Promise<{ status: number; body: Body }>((resolve, reject) => {
    request.once('error', reject);
    request.once('response', async (response) => {
      let received = '';
      for await (const chunk of response) received += chunk;
      resolve({ status: response.statusCode ?? 0, body: JSON.parse(received) });
    });
  });
  request.flushHeaders();
  await taken;
  await callJson(gatehouse, 'AuthService/Verify', {});
  return () => {
    request.end(text);
    return answer;
  };
}

describe('a caller that is revoked while it holds its body back', () => {
  test('changes and reads nothing with it', async () => {
    const { key: target } = await asRoot('KeyService/CreateKey', { keyspace: 'default', name: 'target' });
    const manager = await asRoot('KeyService/CreateKey', {
      keyspace: 'gatehouse',
      name: 'manager',
      permissions: ['keys:read', 'keys:update', 'keys:revoke', 'keyspaces:admin', 'tokens:verify'],
    });
    const keyspace = { id: 'late', prefix: 'late_', alphabet: 'ALPHABET_HEX', secretLength: 32 };
    const calls: [string, unknown][] = [
      ['KeyService/UpdateKey', { key: { id: target.id, permissions: ['*'] }, updateMask: 'permissions' }],
      ['KeyspaceService/CreateKeyspace', { keyspace: { ...keyspace, hash: 'HASH_ALGORITHM_SHA256' } }],
      [
        'KeyspaceService/UpdateKeyspace',
        { keyspace: { id: 'default', displayName: 'x' }, updateMask: 'displayName' },
      ],
      ['KeyService/RevokeKey', { id: target.id }],
      ['KeyService/GetKey', { id: target.id }],
      ['KeyService/ListKeys', { keyspace: 'default' }],
      ['AuthService/Verify', { token: gatehouse.rootKey }],
    ];
    const finish = await Promise.all(calls.map(([method, body]) => begin(method, body, manager.secret)));
    await asRoot('KeyService/RevokeKey', { id: manager.key.id });

    const statuses: Record<string, number> = {};
    for (const [index, [method]] of calls.entries())
      statuses[method] = (await finish[index]?.())?.status ?? 0;
    expect(statuses).toEqual(Object.fromEntries(calls.map(([method]) => [method, 401])));
  });
});

describe('a self-service caller that is narrowed while it holds the body of CreateKey back', () => {
  test('makes no key that holds more than it does by then', async () => {
    const keyspace = { id: 'narrow', prefix: 'nrw_', alphabet: 'ALPHABET_HEX', secretLength: 32 };
    await asRoot('KeyspaceService/CreateKeyspace', {
      keyspace: {
        ...keyspace,
        hash: 'HASH_ALGORITHM_SHA256',
        selfServiceCallers: ['SELF_SERVICE_CALLER_KEY'],
      },
    });
    const user = await asRoot('KeyService/CreateKey', {
      keyspace: 'narrow',
      name: 'user',
      owner: { kind: 'user', id: '1' },
      permissions: ['read', 'write'],
    });
    const finish = await begin('KeyService/CreateKey', { keyspace: 'narrow', name: 'child' }, user.secret);
    await asRoot('KeyService/UpdateKey', {
      key: {
        id: user.key.id,
        permissions: ['read'],
        project: 'p1',
        allowedCidrs: ['127.0.0.1/32'],
        expireTime: new Date(Date.now() + 60_000).toISOString(),
      },
      updateMask: 'permissions,project,allowedCidrs,expireTime',
    });

    const { status, body } = await finish();
    // Refusing it is as good as narrowing it.
    if (status !== 200) return;
    expect(body.key).toMatchObject({
      permissions: ['read'],
      project: 'p1',
      allowedCidrs: ['127.0.0.1/32'],
      expireTime: expect.any(String),
    });
  });
});
