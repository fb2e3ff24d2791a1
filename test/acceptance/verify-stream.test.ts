/** VerifyStream: each question has its own answer; the caller and the keys are judged anew for each. */

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { AuthService, VerifyStatus } from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';
import { openDuplex } from '../support/grpc-stream.ts';

const { verifyStream } = AuthService.method;

let gatehouse: Gatehouse;

beforeAll(async () => {
  gatehouse = await startGatehouse({ env: { GATEHOUSE_LOG_LEVEL: 'info' } });
});
afterAll(() => gatehouse.remove());

const root = async (method: string, body: unknown) =>
  (await callJson(gatehouse, method, body, { key: gatehouse.rootKey })).body;

async function make(keyspace: string, more: object = {}): Promise<{ id: string; secret: string }> {
  const { key, secret } = await root('KeyService/CreateKey', { keyspace, name: 'x', ...more });
  return { id: key.id, secret };
}

function open(token = gatehouse.rootKey) {
  const stream = openDuplex(gatehouse.grpc, verifyStream, token);
  onTestFinished(() => stream.cancel());
  const answerOf = (id: string) => stream.got.find((one) => one.id === id)?.result;
  const statusOf = (id: string) => {
    const result = answerOf(id);
    return result?.case === 'response' ? VerifyStatus[result.value.status] : result?.case;
  };
  return { ...stream, answerOf, statusOf };
}

describe('VerifyStream', () => {
  test('answers each question by its id, as Verify does, and ends when no more come', async () => {
    const { secret } = await make('default', { permissions: ['a'] });
    const stream = open();
    const ids = Array.from({ length: 300 }, (_, index) => `q${index}`);
    for (const [index, id] of ids.entries()) {
      const permissions = index % 3 === 1 ? ['b'] : ['a'];
      stream.send({ id, request: { token: index % 3 === 2 ? 'gate_nothing' : secret, permissions } });
    }
    stream.finish();
    expect((await stream.ended).code).toBe(0);
    expect(stream.got).toHaveLength(ids.length);
    for (const [index, id] of ids.entries())
      expect(stream.statusOf(id)).toBe(['VALID', 'INSUFFICIENT_PERMISSIONS', 'MALFORMED'][index % 3]);
    const alone = await root('AuthService/Verify', { token: secret, permissions: ['a'] });
    const first = stream.answerOf('q0');
    expect(first?.case === 'response' && first.value.principal?.keyId).toBe(alone.principal.keyId);
  });

  test('gives one that is malformed an error of its own, and goes on', async () => {
    const { secret } = await make('default');
    const stream = open();
    stream.send({ id: 'long', request: { token: 'x'.repeat(9000) } });
    stream.send({ id: 'none' });
    stream.send({ id: '', request: { token: secret } });
    stream.send({ id: 'unoffered', request: { token: secret, cost: 1 } });
    stream.send({ id: 'good', request: { token: secret } });
    await stream.until(5);
    expect(stream.statusOf('good')).toBe('VALID');
    const codes = ['long', 'none', '', 'unoffered'].map((id) => {
      const result = stream.answerOf(id);
      return result?.case === 'error' ? result.value.code : undefined;
    });
    expect(codes).toEqual([3, 3, 3, 12]);
  });

  test('refuses a key from the moment on at which its revocation has returned', async () => {
    const { id, secret } = await make('default');
    const stream = open();
    for (let round = 0; round < 20; round++)
      stream.send({ id: `before-${round}`, request: { token: secret } });
    await stream.until(20);
    await root('KeyService/RevokeKey', { id });
    for (let round = 0; round < 20; round++)
      stream.send({ id: `after-${round}`, request: { token: secret } });
    await stream.until(40);
    for (let round = 0; round < 20; round++) {
      expect([stream.statusOf(`before-${round}`), stream.statusOf(`after-${round}`)]).toEqual([
        'VALID',
        'REVOKED',
      ]);
    }
  });

  test('ends where its caller was revoked, and answers no question that came after', async () => {
    const { secret } = await make('default');
    const caller = await make('gatehouse', { permissions: ['tokens:verify'] });
    const stream = open(caller.secret);
    stream.send({ id: 'before', request: { token: secret } });
    await stream.until(1);
    await root('KeyService/RevokeKey', { id: caller.id });
    stream.send({ id: 'after', request: { token: secret } });
    expect(await stream.ended).toEqual({ code: 16, reason: 'CREDENTIALS_INVALID' });
    expect(stream.got.map(({ id }) => id)).toEqual(['before']);
  });

  test('knows what its caller may verify, and lets nobody in who may verify nothing', async () => {
    const other = await make('gatehouse', { permissions: ['tokens:verify@gatehouse'] });
    const { secret } = await make('default');
    const narrow = open(other.secret);
    narrow.send({ id: 'q', request: { token: secret } });
    narrow.send({ id: 'explained', request: { token: secret, explain: true } });
    await narrow.until(2);
    expect([narrow.statusOf('q'), narrow.statusOf('explained')]).toEqual(['NOT_FOUND', 'error']);
    const reader = await make('gatehouse', { permissions: ['keys:read'] });
    expect(await open(reader.secret).ended).toEqual({ code: 7, reason: 'PERMISSION_MISSING' });
    expect(await open(secret).ended).toMatchObject({ code: 7 });
    expect(await open('ghm_unknown-0123456789-0123456789-0123').ended).toMatchObject({ code: 16 });
  });

  test('reads no further than may be in flight while its client takes no answers, and loses none', async () => {
    const { secret } = await make('default', {
      metadata: Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`k${index}`, 'x'.repeat(200)])),
    });
    const stream = open();
    stream.pause();
    const count = 2500;
    for (let index = 0; index < count; index++) stream.send({ id: `q${index}`, request: { token: secret } });
    stream.finish();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const judged = async () => {
      const text = await (await fetch(`${gatehouse.http}/metrics`)).text();
      return Number(/gatehouse_verify_total\{keyspace="default",status="valid"\} (\d+)/.exec(text)?.[1]);
    };
    const before = await judged();
    expect(before).toBeLessThan(count);
    stream.resume();
    await stream.until(count);
    expect((await stream.ended).code).toBe(0);
    expect(new Set(stream.got.map(({ id }) => id)).size).toBe(count);
  });

  test('counts uses and tells refused tokens in the log, as Verify does', async () => {
    const { id, secret } = await make('default');
    const stream = open();
    for (let index = 0; index < 3; index++) stream.send({ id: `q${index}`, request: { token: secret } });
    stream.send({ id: 'explained', request: { token: secret, explain: true } });
    stream.send({ id: 'refused', request: { token: secret, permissions: ['other'] } });
    stream.finish();
    await stream.ended;
    await expect
      .poll(async () => (await root('KeyService/GetKey', { id })).key.usageCount, { timeout: 5000 })
      .toBe('3');
    const lines = gatehouse
      .output()
      .stdout.split('\n')
      .filter((line) => line.includes('VerifyStream') && line.includes(id))
      .map((line) => JSON.parse(line));
    expect(lines.map(({ status }) => status)).toEqual(['insufficient-permissions']);
  });
});
