/** kill -9 in the middle of writes loses nothing that was acknowledged and leaves nothing half done. */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { openSqliteStore } from '../../src/storage/sqlite/open.ts';
import { sampleEvent, sampleKey, sampleSecret } from '../conformance/samples.ts';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';

const CREATES = 1000;
const KILL_AFTER = 400;
const IN_FLIGHT = 16;

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
      for (let from = 0; from < acknowledged.length; from += 100) {
        const requests = acknowledged.slice(from, from + 100).map((token) => ({ token }));
        const { body } = await callJson(
          second,
          'AuthService/VerifyBatch',
          { requests },
          { key: second.rootKey },
        );
        for (const { response } of body.results) expect(response.status).toBe('VERIFY_STATUS_VALID');
      }
      await second.stop();
      expect(halfKeys(second)).toEqual({ withoutSecret: 0, withoutEvent: 0, pending: 0 });
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
    const before = await openSqliteStore(join(folder, 'gatehouse.db'));
    await before.insertKey(key, sampleSecret(key));
    await before.close();
    expect(halfKeys({ folder })).toEqual({ withoutSecret: 0, withoutEvent: 1, pending: 1 });

    const gatehouse = await startGatehouse({ folder });
    try {
      await gatehouse.stop();
      expect(halfKeys({ folder })).toEqual({ withoutSecret: 0, withoutEvent: 0, pending: 0 });
      const after = await openSqliteStore(join(folder, 'gatehouse.db'));
      expect(await after.listEvents({ kind: 'key', id: key.id })).toEqual(key.pending);
      await after.close();
    } finally {
      await gatehouse.remove();
    }
  });
});

/** Keys whose secret or audit event is missing, or whose event is still pending. */
function halfKeys({ folder }: Pick<Gatehouse, 'folder'>) {
  const database = new DatabaseSync(join(folder, 'gatehouse.db'), { readOnly: true });
  const count = (where: string) =>
    Number(database.prepare(`SELECT count(*) AS n FROM keys WHERE ${where}`).get()?.n);
  try {
    return {
      withoutSecret: count(
        'NOT EXISTS (SELECT 1 FROM secrets WHERE key_id = keys.id AND generation = keys.generation)',
      ),
      withoutEvent: count(
        "NOT EXISTS (SELECT 1 FROM events WHERE record_kind = 'key' AND record_id = keys.id)",
      ),
      pending: count('pending IS NOT NULL'),
    };
  } finally {
    database.close();
  }
}
