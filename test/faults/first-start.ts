/** What must be there after a first start, however it went. */

import { expect } from 'vitest';
import type { MongoKeyStore } from '../../src/storage/mongodb/store.ts';
import { callJson, type Gatehouse } from '../support/gatehouse.ts';
import { CALL_MS, tally, until } from './processes.ts';

const GENERATED = /export GATEHOUSE_KEY=(ghm_\S+)/;

/** The root key that a start printed, if it did. */
export function printedRoot(stderr: string): string | undefined {
  return GENERATED.exec(stderr)?.[1];
}

/** Whether the key opens the service and may do everything. */
export async function isRoot(gatehouse: Gatehouse, key: string | undefined): Promise<boolean> {
  const body = { keyspace: 'gatehouse' };
  let status = 503;
  await until('an answer', CALL_MS, async () => {
    status = (await callJson(gatehouse, 'KeyService/ListKeys', body, { key })).status;
    return status !== 503;
  });
  return status === 200;
}

/** The built-in keyspaces and so many root keys, each with the one event of its making. */
export async function checkStart(store: MongoKeyStore, roots: number): Promise<void> {
  const keyspaces = await store.listKeyspaces();
  expect(keyspaces.map(({ id }) => id)).toEqual(['default', 'gatehouse']);
  const keys = (await store.listKeys({ filter: {}, limit: 100, now: Date.now() })).map(({ key }) => key);
  expect(keys.map(({ keyspace, permissions }) => [keyspace, permissions])).toEqual(
    Array.from({ length: roots }, () => ['gatehouse', ['*']]),
  );
  for (const { id, revision, pending } of [...keyspaces, ...keys]) {
    expect({ id, revision, pending }).toEqual({ id, revision: 1, pending: [] });
  }
  for (const { id } of keyspaces) {
    const events = await store.listEvents({ kind: 'keyspace', id });
    expect(events).toMatchObject([{ action: 'keyspace.create', revision: 1, actor: 'system', keyspace: id }]);
  }
  for (const { id } of keys) {
    const events = await store.listEvents({ kind: 'key', id });
    expect(events).toMatchObject([{ action: 'key.create', revision: 1, actor: 'system', keyId: id }]);
  }
  expect(await store.listUnpublished(100)).toEqual([]);
  const { prefixes } = await store.readRegistry();
  expect(tally(Object.values(prefixes))).toEqual({ default: 1, gatehouse: 1 });
}
