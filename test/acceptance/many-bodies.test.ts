/** Callers that hold their bodies back, as many as two connections take: they keep nobody else out. */

import http2 from 'node:http2';
import { setTimeout as after } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';

let gatehouse: Gatehouse;

beforeAll(async () => {
  gatehouse = await startGatehouse();
});
afterAll(() => gatehouse.remove());

async function asRoot(method: string, body: unknown) {
  const answer = await callJson(gatehouse, method, body, { key: gatehouse.rootKey });
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body;
}

describe('a key without any permission', () => {
  test('keeps no other caller out by 1,024 bodies that it holds back', async () => {
    const { secret } = await asRoot('KeyService/CreateKey', { keyspace: 'default', name: 'customer' });
    const sessions = [1, 2].map(() => http2.connect(`http://${gatehouse.grpc}`));
    try {
      for (const session of sessions) {
        session.on('error', () => {});
        await new Promise((resolve) => session.once('remoteSettings', resolve));
        for (let count = 0; count < 512; count++) {
          const headers = {
            ':method': 'POST',
            ':path': '/gatehouse.v1.KeyService/ListKeys',
            'content-type': 'application/grpc',
            te: 'trailers',
            authorization: `Bearer ${secret}`,
            'grpc-timeout': '60S',
          };
          session.request(headers, { endStream: false }).on('error', () => {});
        }
      }
      // Frames of one connection are taken in order.
      await Promise.all(sessions.map((session) => new Promise((resolve) => session.ping(resolve))));
      await after(500);
      await asRoot('AuthService/Verify', { token: secret });
    } finally {
      for (const session of sessions) session.destroy();
    }
  });
});
