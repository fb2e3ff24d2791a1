/** Two creates of one keyspace at once: whatever prefix the keyspace has then, no other keyspace gets it. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';

let gatehouse: Gatehouse;

beforeAll(async () => {
  gatehouse = await startGatehouse();
});
afterAll(() => gatehouse.remove());

function call(method: string, body: unknown) {
  return callJson(gatehouse, method, body, { key: gatehouse.rootKey });
}

function createKeyspace(id: string, prefix: string) {
  const format = { alphabet: 'ALPHABET_HEX', secretLength: 32, hash: 'HASH_ALGORITHM_SHA256' };
  return call('KeyspaceService/CreateKeyspace', { keyspace: { id, prefix, ...format } });
}

test('a prefix belongs to one keyspace, though two calls made it at once with different prefixes', async () => {
  for (let round = 0; round < 5; round++) {
    const id = `both-${round}`;
    const answers = await Promise.all([createKeyspace(id, `a${round}_`), createKeyspace(id, `b${round}_`)]);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);

    const { body } = await call('KeyspaceService/GetKeyspace', { id });
    const { body: made } = await call('KeyService/CreateKey', { keyspace: id, name: 'x' });
    const other = await createKeyspace(`other-${round}`, body.keyspace.prefix);
    const verified = await call('AuthService/Verify', { token: made.secret });
    expect([other.status, verified.body.status]).toEqual([409, 'VERIFY_STATUS_VALID']);
  }
});
