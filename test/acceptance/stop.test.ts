/** SIGTERM over HTTP/1.1: a call on a connection that is open is answered, not cut off. */

import http from 'node:http';
import { createConnection } from 'node:net';
import { setTimeout as after } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type Gatehouse, startGatehouse } from '../support/gatehouse.ts';

const ROUNDS = 4;
const CONNECTIONS = 32;
const VERIFY = '/gatehouse.v1.AuthService/Verify';

/** Calls once. @returns the answer's `connection` header, or the code of the error. */
function callOnce(gatehouse: Gatehouse, agent: http.Agent, method: string, path: string): Promise<string> {
  return new Promise((resolve) => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${gatehouse.rootKey}` };
    const request = http.request(`${gatehouse.http}${path}`, { method, agent, headers });
    request.on('response', (response) => {
      response.resume();
      response.on('end', () => resolve(response.headers.connection ?? 'none'));
    });
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'failed'));
    request.end(method === 'POST' ? '{}' : undefined);
  });
}

/** Calls until it is told to go or cut off. @param answered told of each call. @returns what the last call got. */
async function callUntilStopped(gatehouse: Gatehouse, answered: () => void): Promise<string> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (;;) {
    const outcome = await callOnce(gatehouse, agent, 'POST', VERIFY);
    if (outcome === 'keep-alive') {
      answered();
      continue;
    }
    agent.destroy();
    return outcome;
  }
}

test('under load every connection is told to go with an answer', async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const gatehouse = await startGatehouse({ env: { GATEHOUSE_LOG_VERIFY: 'none' } });
    try {
      // Each has been answered once, so that the service has accepted it: one that still waits for that is refused.
      const begun: Promise<void>[] = [];
      const workers = Array.from({ length: CONNECTIONS }, () => {
        const { promise, resolve } = Promise.withResolvers<void>();
        begun.push(promise);
        return callUntilStopped(gatehouse, resolve);
      });
      await Promise.all(begun);
      await after(100);
      expect(await gatehouse.stop()).toBe(0);
      expect(await Promise.all(workers)).toEqual(workers.map(() => 'close'));
    } finally {
      await gatehouse.remove();
    }
  }
});

test.each([
  ['POST', VERIFY],
  ['GET', '/healthz'],
  ['GET', '/readyz'],
  ['GET', '/metrics'],
  ['GET', '/nothing'],
])(
  'a connection that was idle is served shortly after SIGTERM, and told to go: %s %s',
  async (method, path) => {
    const gatehouse = await startGatehouse();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    try {
      expect(await callOnce(gatehouse, agent, 'GET', '/healthz')).toBe('keep-alive');
      const stopped = gatehouse.stop();
      await after(300);
      expect(await callOnce(gatehouse, agent, method, path)).toBe('close');
      expect(await stopped).toBe(0);
    } finally {
      agent.destroy();
      await gatehouse.remove();
    }
  },
);

test('connections that ask nothing, before or after a first call, hold the stop up for a moment only', async () => {
  const gatehouse = await startGatehouse();
  const agent = new http.Agent({ keepAlive: true });
  const { hostname, port } = new URL(gatehouse.http);
  const silent = createConnection(Number(port), hostname);
  silent.on('error', () => {});
  try {
    expect(await callOnce(gatehouse, agent, 'GET', '/healthz')).toBe('keep-alive');
    const began = performance.now();
    expect(await gatehouse.stop()).toBe(0);
    expect(performance.now() - began).toBeLessThan(3000);
  } finally {
    silent.destroy();
    agent.destroy();
    await gatehouse.remove();
  }
});
