/** Another pepper under the id of an old one: its keys would read as unknown, so that must not go unnoticed. */

import { afterEach, expect, test } from 'vitest';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';

const started: Gatehouse[] = [];

afterEach(async () => {
  for (const one of started.splice(0)) await one.remove();
});

const pepper = (id: string, byte: number) => `${id}:${Buffer.alloc(32, byte).toString('base64')}`;

async function start(peppers: string, folder?: string): Promise<Gatehouse> {
  const env = { GATEHOUSE_PEPPERS: peppers };
  const gatehouse = await startGatehouse(folder === undefined ? { env } : { env, folder });
  started.push(gatehouse);
  return gatehouse;
}

/** Makes a key that is hashed under the first pepper, and the keyspace for it. */
async function createPeppered(gatehouse: Gatehouse): Promise<{ id: string; secret: string }> {
  const format = { alphabet: 'ALPHABET_HEX', secretLength: 32, hash: 'HASH_ALGORITHM_HMAC_SHA256' };
  const options = { key: gatehouse.rootKey };
  const keyspace = { id: 'shop', prefix: 'shop_', ...format };
  await callJson(gatehouse, 'KeyspaceService/CreateKeyspace', { keyspace }, options);
  const made = await callJson(gatehouse, 'KeyService/CreateKey', { keyspace: 'shop', name: 'x' }, options);
  expect(made.status).toBe(200);
  return { id: made.body.key.id, secret: made.body.secret };
}

async function statusOf(gatehouse: Gatehouse, token: string): Promise<string> {
  const options = { key: gatehouse.rootKey };
  return (await callJson(gatehouse, 'AuthService/Verify', { token }, options)).body.status;
}

// The second is a name that every object of JavaScript has.
test.each(['2026a', 'constructor'])(
  'the start is refused where live keys need the old one, and the old one still serves: %s',
  async (id) => {
    const first = await start(pepper(id, 1));
    const { secret } = await createPeppered(first);
    await first.stop();
    for (const peppers of [pepper(id, 2), `${pepper('new', 3)},${pepper(id, 2)}`]) {
      await expect(start(peppers, first.folder)).rejects.toThrow(
        `gatehouse: GATEHOUSE_PEPPERS has another pepper as "${id}" than the one which live keys were hashed under (1)`,
      );
    }
    // The refused starts have left nothing behind that stands in the way of the right one, nor of "new" as another.
    const again = await start(`${pepper('new', 4)},${pepper(id, 1)}`, first.folder);
    expect(await statusOf(again, secret)).toBe('VERIFY_STATUS_VALID');
  },
);

test('a pepper that no live key needs may be replaced, and its successor is held to from then on', async () => {
  const first = await start(pepper('2026a', 1));
  const { id } = await createPeppered(first);
  await callJson(first, 'KeyService/RevokeKey', { id }, { key: first.rootKey });
  await first.stop();

  const second = await start(pepper('2026a', 2), first.folder);
  const { secret } = await createPeppered(second);
  await second.stop();
  await expect(start(pepper('2026a', 1), first.folder)).rejects.toThrow('has another pepper as "2026a"');
  const third = await start(pepper('2026a', 2), first.folder);
  expect(await statusOf(third, secret)).toBe('VERIFY_STATUS_VALID');
});
