/** A process that is killed between its write and the publication of the audit event leaves nothing undone. */

import { describe, expect, test } from 'vitest';
import type { UnpublishedRecord } from '../../src/storage/key-store.ts';
import type { MongoKeyStore } from '../../src/storage/mongodb/store.ts';
import { type Gatehouse, ROOT_KEY } from '../support/gatehouse.ts';
import { MONGOD } from '../support/mongodb.ts';
import { figures, keyspaceOf, outcomeOf, type Rig, until, useServer } from './processes.ts';
import { type Command, startProxy } from './proxy.ts';

/** Within which another process has finished the change. */
const FINISHED_MS = 5000;

const FAULTS = [
  {
    between: 'the write of the record and that of its event',
    holds: (command: Command) => command.insert === 'events',
  },
  {
    between: 'the write of the event and its taking off the record',
    holds: ({ update, updates }: Command) =>
      (update === 'keys' || update === 'keyspaces') && JSON.stringify(updates).includes('$unset'),
  },
];

describe.skipIf(MONGOD === '')('a process killed -9', () => {
  const rig = useServer();

  test.each(FAULTS)(
    'between $between: another one finishes its changes within five seconds, each once',
    async ({ holds }) => {
      const { proxy, dying, store, records } = await setUp(rig);
      const before = await Promise.all(records.map((record) => revisionOf(store, record)));
      const hold = proxy.hold(holds);
      const calls = changes(rig, dying, records);
      await until('each change is written, and stuck there', FINISHED_MS, () => hold.count === calls.length);
      await dying.stop('SIGKILL');
      const killed = performance.now();

      const made = await madeKey(store);
      const all = [...records, made];
      const expected = [...before.map((revision) => revision + 1), 1];
      expect(await Promise.all(all.map((record) => revisionOf(store, record)))).toEqual(expected);
      expect(await store.listUnpublished(100)).toHaveLength(all.length);
      await until('nothing is left to publish', FINISHED_MS, async () => {
        return (await store.listUnpublished(100)).length === 0;
      });
      figures('finished after a kill', { ms: Math.round(performance.now() - killed) });

      // Once more, as others may do it that saw them unpublished as well.
      await Promise.all([...all, ...all].map((record) => store.publishEvents(record)));
      for (const [index, record] of all.entries()) {
        const events = await store.listEvents(record);
        const revision = expected[index] ?? 0;
        expect(events.map((event) => event.revision)).toEqual(
          Array.from({ length: revision }, (_, at) => at + 1),
        );
        expect(await revisionOf(store, record)).toBe(revision);
      }
      await Promise.all(calls);
    },
  );
});

/** One process behind a proxy and one not, and two keys and a keyspace to change. */
async function setUp(rig: Rig) {
  const uri = rig.emptyDatabase();
  const proxy = await startProxy(rig.server);
  rig.after(() => proxy.close());
  await rig.startOne(uri);
  const dying = await rig.startOne(proxy.uri(new URL(uri).pathname.slice(1)));
  const { keys, keyspaces } = rig.client(dying, ROOT_KEY);
  const records: UnpublishedRecord[] = [];
  for (const name of ['to rename', 'to revoke']) {
    const { key } = await keys.createKey({ keyspace: 'default', name });
    records.push({ kind: 'key', id: key?.id ?? '' });
  }
  await keyspaces.createKeyspace({ keyspace: keyspaceOf('shop', 'shop_') });
  records.push({ kind: 'keyspace', id: 'shop' });
  return { proxy, dying, store: await rig.open(uri), records };
}

/** A change of each record, and a new key: none is answered, since the process hangs at its events. */
function changes(rig: Rig, dying: Gatehouse, [renamed, revoked, keyspace]: readonly UnpublishedRecord[]) {
  const { keys, keyspaces } = rig.client(dying, ROOT_KEY);
  const calls = [
    () =>
      keys.updateKey({ key: { id: renamed?.id ?? '', name: 'renamed' }, updateMask: { paths: ['name'] } }),
    () => keys.revokeKey({ target: { case: 'id', value: revoked?.id ?? '' } }),
    () =>
      keyspaces.updateKeyspace({
        keyspace: { id: keyspace?.id ?? '', displayName: 'renamed' },
        updateMask: { paths: ['display_name'] },
      }),
    () => keys.createKey({ keyspace: 'default', name: 'made' }),
  ];
  return calls.map((call) => outcomeOf<unknown>(call));
}

async function madeKey(store: MongoKeyStore): Promise<UnpublishedRecord> {
  const [made, ...others] = await store.listKeys({
    filter: { nameContains: 'made' },
    limit: 2,
    now: Date.now(),
  });
  if (made === undefined || others.length > 0) throw new Error('not one key was made');
  return { kind: 'key', id: made.key.id };
}

async function revisionOf(store: MongoKeyStore, { kind, id }: UnpublishedRecord): Promise<number> {
  const record =
    kind === 'key' ? await store.getKey(id) : (await store.listKeyspaces()).find((one) => one.id === id);
  return record?.revision ?? 0;
}
