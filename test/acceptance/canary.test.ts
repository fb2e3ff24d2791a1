/** No token that was issued or sent stands anywhere that outlives its call: the store, log, metrics, answers. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';
import { storedText } from '../support/stored.ts';

let gatehouse: Gatehouse;
const canaries: { readonly id: string; readonly token: string }[] = [];

beforeAll(async () => {
  gatehouse = await startGatehouse({
    env: {
      GATEHOUSE_LOG_LEVEL: 'trace',
      GATEHOUSE_LOG_VERIFY: 'all',
      GATEHOUSE_PEPPERS: `p1:${Buffer.alloc(32, 3).toString('base64')}`,
    },
  });
});
afterAll(() => gatehouse.remove());

async function call(method: string, body: unknown, headers: Record<string, string> = {}) {
  return callJson(gatehouse, method, body, { key: gatehouse.rootKey, headers });
}

/** Makes a key under each way of hashing, and uses it in every place where a key can be sent. */
async function useTokensEverywhere(): Promise<void> {
  for (const hash of ['SHA256', 'HMAC_SHA256', 'ARGON2ID']) {
    const id = hash.toLowerCase().replaceAll('_', '-');
    const keyspace = {
      id,
      prefix: `${id}_`,
      alphabet: 'ALPHABET_BASE62',
      secretLength: 40,
      hash: `HASH_ALGORITHM_${hash}`,
    };
    await call('KeyspaceService/CreateKeyspace', { keyspace });
    const { body } = await call('KeyService/CreateKey', { keyspace: id, name: 'canary' });
    const token: string = body.secret;
    canaries.push({ id: body.key.id, token });

    await call('AuthService/Verify', { token });
    await call('AuthService/Verify', { token, explain: true });
    await call('AuthService/Verify', { token: `${token}x` });
    await call('AuthService/VerifyBatch', {
      requests: [{ token }, { token: `Bearer ${token}` }, { token, permissions: ['no good'] }],
    });
    await callJson(gatehouse, 'KeyService/ListKeys', {}, { key: token });
    await callJson(gatehouse, 'KeyService/ListKeys', {}, { headers: { 'x-api-key': token } });
    await call('KeyService/ListKeys', {}, { 'x-api-key': token });
    // In places where it does not belong.
    await call('KeyService/GetKey', { id: token });
    await call('KeyService/GetKey', { [token]: 1 });
    await call('KeyService/ListKeys', { pageToken: token });
    await call('KeyService/CreateKey', `{"name": "${token}`);
    await call('KeyService/CreateKey', { keyspace: 'default', name: 5, owner: token });
    await call(`KeyService/${token}`, {});
    await fetch(`${gatehouse.http}/${token}?key=${token}`);
    await fetch(
      `${gatehouse.http}/gatehouse.v1.AuthService/Verify?message=${encodeURIComponent(JSON.stringify({ token }))}`,
    );
    await call('KeyService/ListKeys', {}, { 'content-type': `application/${token}` });
    // A secret that came by a rotation, the one that it replaced, and their way back.
    const request = { id: body.key.id, overlap: '60s', requestId: token.slice(0, 128) };
    const rotated: string = (await call('KeyService/RotateKey', request)).body.secret;
    canaries.push({ id: body.key.id, token: rotated });
    await call('KeyService/RotateKey', request);
    await call('KeyService/RotateKey', { ...request, overlap: '1s' });
    await call('KeyService/CreateKey', { keyspace: id, name: 'canary', requestId: rotated });
    for (const one of [token, rotated]) {
      await call('AuthService/Verify', { token: one });
      await call('KeyService/RotateKey', { id: one });
      await call('KeyService/RevokeKey', { secret: `${one}x` });
      await call('KeyService/RevokeKey', { secret: one, reason: 5 });
      await callJson(gatehouse, 'KeyService/RotateKey', { id: body.key.id }, { key: one });
    }
    await call('KeyService/UpdateKey', { key: { id: body.key.id }, updateMask: 'previousSecret' });
    await call('KeyService/RevokeKey', { secret: token });
    await call('KeyService/RevokeKey', { secret: rotated });
    await call('KeyService/RevokeKey', { id: body.key.id });
    await call('AuthService/Verify', { token: rotated });
    await call('AuthService/Verify', { token });
  }
}

describe('a token', () => {
  test('is found neither in the store nor in a log line or metric, under no hashing', async () => {
    await useTokensEverywhere();
    expect(canaries).toHaveLength(6);
    const metrics = await (await fetch(`${gatehouse.http}/metrics`)).text();
    expect(metrics).toContain('gatehouse_verify_total');
    const before = await everything();
    await gatehouse.stop();
    for (const text of [metrics, before, await everything()]) {
      for (const token of [...canaries.map((one) => one.token), gatehouse.rootKey]) {
        // The end of a token stands for all of it: lists show its beginning.
        for (const needle of [
          token,
          token.slice(-16),
          Buffer.from(token).toString('base64').slice(0, -4),
          encodeURIComponent(token),
        ]) {
          expect(text.includes(needle)).toBe(false);
        }
      }
    }
  });

  test('the search would find one: the ids of the keys are found', async () => {
    const { stored, printed } = await traces();
    for (const { id } of canaries) {
      expect(stored).toContain(id);
      expect(printed).toContain(id);
    }
  });
});

/** All that outlives the calls: what was stored, and what was printed. */
async function traces(): Promise<{ readonly stored: string; readonly printed: string }> {
  const { stdout, stderr } = gatehouse.output();
  return { stored: await storedText(gatehouse.folder), printed: `${stdout}\n${stderr}` };
}

async function everything(): Promise<string> {
  const { stored, printed } = await traces();
  return `${stored}\n${printed}`;
}
