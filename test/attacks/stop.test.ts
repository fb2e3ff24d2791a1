/** SIGTERM under load over HTTP/1.1: a call on a connection that was open is answered, not cut off. */

import http from 'node:http';
import { setTimeout as after } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type Gatehouse, startGatehouse } from '../support/gatehouse.ts';

const ROUNDS = 4;
const CONNECTIONS = 32;

/** Calls until it is told to go, or can connect no more. @returns how many calls were cut off. */
async function callUntilStopped(gatehouse: Gatehouse): Promise<number> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (;;) {
    const outcome = await new Promise<string>((resolve) => {
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${gatehouse.rootKey}` };
      const options = { method: 'POST', agent, headers };
      const request = http.request(`${gatehouse.http}/gatehouse.v1.AuthService/Verify`, options);
      request.on('response', (response) => {
        response.resume();
        response.on('end', () =>
          resolve(response.headers.connection === 'close' ? 'told to go' : 'answered'),
        );
      });
      request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'failed'));
      request.end('{}');
    });
    if (outcome === 'answered') continue;
    agent.destroy();
    return outcome === 'ECONNRESET' || outcome === 'EPIPE' ? 1 : 0;
  }
}

test('no call on an open connection is cut off', async () => {
  let cutOff = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const gatehouse = await startGatehouse({ env: { GATEHOUSE_LOG_VERIFY: 'none' } });
    const workers = Array.from({ length: CONNECTIONS }, () => callUntilStopped(gatehouse));
    await after(300);
    await gatehouse.stop();
    cutOff += (await Promise.all(workers)).reduce((sum, one) => sum + one, 0);
    await gatehouse.remove();
  }
  expect(cutOff).toBe(0);
});
