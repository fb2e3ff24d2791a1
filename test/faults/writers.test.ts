/**
 * Many writers of the same keys, in several processes: whatever was acknowledged is in the record and in its events, in
 * order, once; whatever was not was refused; nothing else happened.
 *
 * Ten seconds of it, or the whole minute:
 *
 *     GATEHOUSE_TEST_LONG=1 npm test -- test/faults/writers.test.ts
 */

import { describe, expect, test } from 'vitest';
import type { MongoKeyStore } from '../../src/storage/mongodb/store.ts';
import { ROOT_KEY } from '../support/gatehouse.ts';
import { LONG } from '../support/long.ts';
import { MONGOD } from '../support/mongodb.ts';
import { answered, figures, type Rig, tally, useServer } from './processes.ts';
import { checkKey } from './replay.ts';
import { type Change, revoke, type Writer, write } from './writer.ts';

const SECONDS = LONG ? 60 : 10;
const PROCESSES = 4;
const WRITERS = 16;
const KEYS = 20;
/** Share of the changes that may get no answer, for the machine may be busy with other tests. */
const UNANSWERED = LONG ? 0 : 0.05;
/** Half of the keys, which all writers revoke at once when the time is over. */
const REVOKED = KEYS / 2;

describe.skipIf(MONGOD === '')(`four processes, 16 writers on the same 20 keys for ${SECONDS} s`, () => {
  const rig = useServer();

  test(
    'every acknowledged change is in the record and in its events, in order, once; every other was refused',
    async () => {
      // It is about what is written, not about how soon: a server that is slow refuses nothing here.
      const uri = `${rig.emptyDatabase()}&timeoutMS=5000`;
      const { writers, keys } = await setUp(rig, uri);
      const ids = keys.map(({ id }) => id);
      const end = performance.now() + SECONDS * 1000;
      const updates = (await Promise.all(writers.map((writer) => write(writer, ids, end)))).flat();
      const revokes: Change[] = [];
      for (const id of ids.slice(0, REVOKED)) {
        revokes.push(...(await Promise.all(writers.map((writer) => revoke(writer, id)))));
      }

      const codes = (changes: readonly Change[]) => tally(changes.map(({ outcome }) => outcome.code));
      figures('writers', { seconds: SECONDS, updates: codes(updates), revokes: codes(revokes) });
      const changes = [...updates, ...revokes];
      for (const { outcome } of changes) {
        if (outcome.code === 'OK' || outcome.code === 'UNAVAILABLE') continue;
        expect(outcome).toMatchObject({ code: 'ABORTED', reason: 'REVISION_MISMATCH' });
      }
      expect(codes(changes).UNAVAILABLE ?? 0).toBeLessThanOrEqual(changes.length * UNANSWERED);
      expect(codes(updates).OK).toBeGreaterThan(WRITERS);
      const store = await rig.open(uri);
      for (const key of keys) {
        await checkKey(
          store,
          key,
          changes.filter(({ keyId }) => keyId === key.id),
        );
      }
      await checkNothingElse(store);
    },
    SECONDS * 1000 + 90_000,
  );
});

async function setUp(rig: Rig, uri: string) {
  const processes = await rig.start(PROCESSES, uri);
  const at = (index: number) => processes[index % PROCESSES] as (typeof processes)[number];
  const root = rig.client(at(0), ROOT_KEY).keys;
  const writers: Writer[] = [];
  for (let index = 0; index < WRITERS; index++) {
    const name = `w${index}`;
    const permissions = ['keys:read', 'keys:update', 'keys:revoke'];
    const { key, secret } = await answered(() =>
      root.createKey({ keyspace: 'gatehouse', name, permissions }),
    );
    writers.push({ actor: key?.id ?? '', name, client: rig.client(at(index), secret) });
  }
  const keys: { id: string; name: string }[] = [];
  for (let index = 0; index < KEYS; index++) {
    const name = `k${index}`;
    const { key } = await answered(() => root.createKey({ keyspace: 'default', name }));
    keys.push({ id: key?.id ?? '', name });
  }
  return { writers, keys };
}

/** No key and no keyspace but those that were made, and none of the others was changed. */
async function checkNothingElse(store: MongoKeyStore): Promise<void> {
  const of = async (keyspace: string) =>
    (await store.listKeys({ filter: { keyspaces: [keyspace] }, limit: 1000, now: Date.now() })).map(
      ({ key }) => key,
    );
  expect(await of('default')).toHaveLength(KEYS);
  const managers = await of('gatehouse');
  // The root key is one as well.
  expect(managers).toHaveLength(WRITERS + 1);
  const keyspaces = await store.listKeyspaces();
  expect(keyspaces.map(({ id }) => id)).toEqual(['default', 'gatehouse']);
  for (const { revision, pending } of [...managers, ...keyspaces]) {
    expect({ revision, pending }).toEqual({ revision: 1, pending: [] });
  }
}
