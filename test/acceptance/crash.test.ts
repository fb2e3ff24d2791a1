/** kill -9 in the middle of writes loses nothing that was acknowledged and leaves nothing half done. */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { MovableStore, Moved, MovedKind } from '../../src/storage/movable-store.ts';
import { openStore } from '../../src/storage/open.ts';
import { sampleEvent, sampleKey, sampleSecret } from '../conformance/samples.ts';
import { callJson, type Gatehouse, startGatehouse, storeLocation } from '../support/gatehouse.ts';

const CREATES = 1000;
const KILL_AFTER = 400;
const IN_FLIGHT = 16;
/** As many as any store answers in time on a busy machine. */
const VERIFIED_AT_ONCE = 25;

/** Makes keys until the service is gone. @returns the secrets that were acknowledged. */
async function createUntilKilled(gatehouse: Gatehouse): Promise<string[]> {
  const acknowledged: string[] = [];
  let started = 0;
  const worker = async () => {
    while (started++ < CREATES) {
      const answer = await callJson(
        gatehouse,
        'KeyService/CreateKey',
        { keyspace: 'default', name: 'x' },
        { key: gatehouse.rootKey },
      ).catch(() => undefined);
      if (answer === undefined) return;
      acknowledged.push(answer.body.secret);
      if (acknowledged.length === KILL_AFTER) await gatehouse.stop('SIGKILL');
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  return acknowledged;
}

describe('after kill -9 in the middle of 1,000 creates', () => {
  test('every acknowledged key verifies, and none is half there', async () => {
    const first = await startGatehouse();
    const acknowledged = await createUntilKilled(first);
    expect(acknowledged.length).toBeGreaterThanOrEqual(KILL_AFTER);
    expect(acknowledged.length).toBeLessThan(CREATES);

    const second = await startGatehouse({ folder: first.folder });
    try {
      for (let from = 0; from < acknowledged.length; from += VERIFIED_AT_ONCE) {
        const requests = acknowledged.slice(from, from + VERIFIED_AT_ONCE).map((token) => ({ token }));
        const { body } = await callJson(
          second,
          'AuthService/VerifyBatch',
          { requests },
          { key: second.rootKey },
        );
        for (const { response } of body.results) expect(response.status).toBe('VERIFY_STATUS_VALID');
      }
      await second.stop();
      expect(await halfKeys(second)).toEqual({ withoutSecret: 0, withoutEvent: 0, pending: 0 });
    } finally {
      await second.remove();
    }
  });
});

describe('after the end of a process between a write and the publication of its event', () => {
  test('the next start publishes the event', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-test-'));
    const now = Date.now();
    const bare = sampleKey({ keyspace: 'default', createTime: now, updateTime: now });
    const key = { ...bare, pending: [sampleEvent(bare)] };
    const before = await openStore(storeLocation(folder));
    await before.insertKey(key, sampleSecret(key));
    await before.close();
    expect(await halfKeys({ folder })).toEqual({ withoutSecret: 0, withoutEvent: 1, pending: 1 });

    const gatehouse = await startGatehouse({ folder });
    try {
      await gatehouse.stop();
      expect(await halfKeys({ folder })).toEqual({ withoutSecret: 0, withoutEvent: 0, pending: 0 });
      const after = await openStore(storeLocation(folder));
      expect(await after.listEvents({ kind: 'key', id: key.id })).toEqual(key.pending);
      await after.close();
    } finally {
      await gatehouse.remove();
    }
  });
});

/** How many keys lack their secret or any audit event, or have an event that is still pending. */
async function halfKeys({ folder }: Pick<Gatehouse, 'folder'>) {
  const store = await openStore(storeLocation(folder));
  try {
    const keys = await allOf(store, 'key');
    const secrets = await allOf(store, 'secret');
    const events = await allOf(store, 'event');
    const opened = new Set(secrets.map(({ keyId, generation }) => `${keyId} ${generation}`));
    const told = new Set(events.map(({ record }) => `${record.kind} ${record.id}`));
    return {
      withoutSecret: keys.filter(({ id, generation }) => !opened.has(`${id} ${generation}`)).length,
      withoutEvent: keys.filter(({ id }) => !told.has(`key ${id}`)).length,
      pending: keys.filter(({ pending }) => pending.length > 0).length,
    };
  } finally {
    await store.close();
  }
}

async function allOf<Kind extends MovedKind>(store: MovableStore, kind: Kind): Promise<Moved[Kind][]> {
  const all: Moved[Kind][] = [];
  for await (const { records } of store.batches(kind)) all.push(...records);
  return all;
}
