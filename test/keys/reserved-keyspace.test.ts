/** What a narrow administrator of the keyspace `gatehouse` may do to the keys of others through its policy. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';

let gatehouse: Gatehouse;
let administrator: string;

function call(method: string, body: unknown, key = gatehouse.rootKey) {
  return callJson(gatehouse, method, body, { key });
}

beforeAll(async () => {
  gatehouse = await startGatehouse({ folder: mkdtempSync(join(tmpdir(), 'gatehouse-attack-')) });
  const { body } = await call('KeyService/CreateKey', {
    keyspace: 'gatehouse',
    name: 'administrator',
    permissions: ['keyspaces:admin@gatehouse', 'keys:read@gatehouse'],
  });
  administrator = body.secret;
});
afterAll(async () => {
  await gatehouse.remove();
  rmSync(gatehouse.folder, { recursive: true, force: true });
});

test('it sets no defaults that hold more than it does itself', async () => {
  const keyspace = { id: 'gatehouse', keyDefaults: { permissions: ['*'] } };
  const updated = await call(
    'KeyspaceService/UpdateKeyspace',
    { keyspace, updateMask: 'keyDefaults' },
    administrator,
  );
  expect([updated.status, updated.body.code]).toEqual([403, 'permission_denied']);
});

test('a root key of 32 characters keeps 96 bits hidden from lists', async () => {
  const root = `ghm_${'Abcdefgh'.repeat(4)}`;
  const keyspace = { id: 'gatehouse', displayLength: 30 };
  await call('KeyspaceService/UpdateKeyspace', { keyspace, updateMask: 'displayLength' }, administrator);
  await gatehouse.stop();
  gatehouse = await startGatehouse({ folder: gatehouse.folder, env: { GATEHOUSE_ROOT_KEY: root } });

  const { body } = await call('KeyService/ListKeys', { keyspace: 'gatehouse' }, administrator);
  const shown: string[] = body.keys.map((key: { displayPrefix: string }) => key.displayPrefix);
  const hiddenBits = shown
    .filter((prefix) => root.startsWith(prefix))
    .map((prefix) => (root.length - prefix.length) * 6);
  expect(hiddenBits).toHaveLength(1);
  expect(hiddenBits[0]).toBeGreaterThanOrEqual(96);
});
