/** No room for the data file to grow: changes are refused, and nothing else. */

import { describe, expect, test } from 'vitest';
import { callJson, type JsonAnswer, startGatehouse } from '../support/gatehouse.ts';

const LARGE = { keyspace: 'default', name: 'x', metadata: { filler: 'x'.repeat(1000) } };

describe('a full disk', () => {
  test('is UNAVAILABLE within a second and never "not found", reads go on, and nothing half done is left', async () => {
    const small = await startGatehouse({ maxFileBlocks: 4000 });
    try {
      const ask = (method: string, body: unknown) => callJson(small, method, body, { key: small.rootKey });
      const made: { id: string; secret: string }[] = [];
      let refusal: JsonAnswer | undefined;
      while (refusal === undefined && made.length < 20_000) {
        const started = performance.now();
        const answers = await Promise.all(
          Array.from({ length: 20 }, () => ask('KeyService/CreateKey', LARGE)),
        );
        for (const answer of answers) {
          if (answer.status === 200) made.push({ id: answer.body.key.id, secret: answer.body.secret });
          else refusal = answer;
        }
        if (refusal !== undefined) expect(performance.now() - started).toBeLessThan(1000);
      }
      expect([refusal?.status, refusal?.body.code]).toEqual([503, 'unavailable']);
      expect(JSON.stringify(refusal?.body)).not.toMatch(/sqlite|disk|SQLITE/i);
      // What was refused may have been larger than what the probe writes; each probe leaves less room.
      await expect
        .poll(async () => (await fetch(`${small.http}/readyz`)).status, { timeout: 20_000 })
        .toBe(503);
      expect((await fetch(`${small.http}/healthz`)).status).toBe(200);
      const last = made.at(-1);
      expect((await ask('AuthService/Verify', { token: last?.secret })).body.valid).toBe(true);
      expect((await ask('KeyService/RevokeKey', { id: last?.id })).body.code).toBe('unavailable');
      const { body } = await ask('KeyService/ListKeys', { keyspace: 'default', withTotals: true });
      expect(body.totalSize).toBe(made.length);
    } finally {
      await small.remove();
    }
  });
});
