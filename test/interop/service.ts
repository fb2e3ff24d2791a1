/** The real service, with a keyspace `slow` whose hashing takes long enough to be caught at it. */

import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';
import { FORMAT } from '../support/shop.ts';

export async function startService(): Promise<Gatehouse> {
  const gatehouse = await startGatehouse();
  const keyspace = {
    ...FORMAT,
    id: 'slow',
    prefix: 'slow_',
    secretLength: 43,
    hash: 'HASH_ALGORITHM_ARGON2ID',
  };
  const { status, body } = await callJson(
    gatehouse,
    'KeyspaceService/CreateKeyspace',
    { keyspace },
    { key: gatehouse.rootKey },
  );
  if (status === 200) return gatehouse;
  await gatehouse.remove();
  throw new Error(`no keyspace was made: ${body.message}`);
}
