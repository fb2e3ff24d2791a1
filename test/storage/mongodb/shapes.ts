/** One call of every method of the store, and listings by every shape of filter. */

import { REQUEST_TTL } from '../../../src/domain/request.ts';
import type { KeyFilter, OwnerFilter } from '../../../src/storage/key-store.ts';
import type { MongoKeyStore } from '../../../src/storage/mongodb/store.ts';
import { MOVED_KINDS } from '../../../src/storage/movable-store.ts';
import {
  changed,
  newBatch,
  sampleEvent,
  sampleKey,
  sampleKeyspace,
  sampleOwner,
  sampleRequest,
  sampleSecret,
  T0,
} from '../../conformance/samples.ts';

/** One, some that an index is walked for side by side, and more than that. */
const KEYSPACES = [['acx'], ['acx', 'other'], Array.from({ length: 201 }, (_, index) => `keyspace-${index}`)];

/** What decides on the index. */
const SCOPES: Pick<KeyFilter, 'keyspaces' | 'owner' | 'project' | 'displayPrefix'> = {
  keyspaces: ['acx'],
  owner: { kind: 'user', id: '1' },
  project: 'web',
  displayPrefix: 'acx_1',
};
/** What is looked at in each key that the index finds. */
const CONDITIONS: Omit<KeyFilter, keyof typeof SCOPES> = {
  states: ['active', 'disabled', 'expired', 'revoked'],
  nameContains: 'a',
  createdAfter: T0,
  createdBefore: T0 + 9,
  lastUsedAfter: T0,
  lastUsedBefore: T0 + 9,
  expiresAfter: T0,
  expiresBefore: T0 + 9,
};

/** Every choice of scopes with none, each and all of the conditions. */
export function filterShapes(): KeyFilter[] {
  const conditions: KeyFilter[] = [
    {},
    ...Object.entries(CONDITIONS).map(([name, value]) => ({ [name]: value })),
    CONDITIONS,
  ];
  const scopes = subsets(SCOPES).flatMap((scope) =>
    scope.keyspaces === undefined ? [scope] : KEYSPACES.map((keyspaces) => ({ ...scope, keyspaces })),
  );
  return scopes.flatMap((scope) => conditions.map((condition) => ({ ...scope, ...condition })));
}

/** Every choice of what owners are listed by. */
function ownerShapes(): OwnerFilter[] {
  return subsets<OwnerFilter>({ keyspaces: ['acx'], kind: 'user', disabled: false }).flatMap((filter) =>
    filter.keyspaces === undefined ? [filter] : KEYSPACES.map((keyspaces) => ({ ...filter, keyspaces })),
  );
}

function subsets<Fields extends object>(fields: Fields): Partial<Fields>[] {
  const names = Object.keys(fields) as (keyof Fields)[];
  return Array.from(
    { length: 2 ** names.length },
    (_, bits) =>
      Object.fromEntries(
        names.filter((_, place) => bits & (1 << place)).map((name) => [name, fields[name]]),
      ) as Partial<Fields>,
  );
}

/** Lists and counts by a filter, as a first page and as a later one. */
export async function listAndCount(store: MongoKeyStore, filter: KeyFilter): Promise<void> {
  await store.listKeys({ filter, limit: 1, now: T0 });
  await store.listKeys({ filter, limit: 1, now: T0, after: { createTime: T0 + 5, id: 'key_x' } });
  await store.countKeys(filter, T0);
}

/** Calls all other methods of a service, so that each sends whatever it may send. */
export async function serve(store: MongoKeyStore): Promise<void> {
  const registry = await store.readRegistry();
  await store.replaceRegistry(changed(registry, {}));

  const policy = sampleKeyspace({ id: 'acx' });
  const keyspace = { ...policy, pending: [sampleEvent(policy)] };
  await store.insertKeyspace(keyspace);
  await store.replaceKeyspace(changed(keyspace, {}));
  await store.listKeyspaces();

  const bare = sampleKey({ project: 'web', owner: { kind: 'user', id: '1' } });
  const key = { ...bare, pending: [sampleEvent(bare)] };
  const secret = sampleSecret(key, { algorithm: 'hmac-sha256', pepperId: 'p1' });
  await store.insertKey(key, secret);
  await store.insertSecret(sampleSecret(key, { generation: 'next' }));
  // Its secret is taken back: the id is another's.
  await store.insertKey(key, sampleSecret(key));
  await store.findSecret(secret.keyspace, secret.lookup);
  await store.getKey(key.id);
  await store.replaceKey(changed(key, {}));
  for (const after of [undefined, key.id]) await store.listChildren(key.id, after, 9);
  await store.listPeppers();
  await store.countKeysUnder('p1', T0);

  const blank = sampleOwner({ owner: { kind: 'user', id: '1' } });
  const owner = { ...blank, pending: [sampleEvent(blank)] };
  await store.insertOwner(owner);
  await store.replaceOwner(changed(owner, {}));
  await store.getOwner(owner.id);
  await store.readOwners([owner.id, 'acx/user:2']);
  for (const filter of ownerShapes()) {
    for (const after of [undefined, owner]) await store.listOwners(filter, after, 9);
  }
  await store.listUnmarkedOwners(9);
  await store.finishMarking({ kind: 'owner', id: owner.id }, 1);
  await store.finishMarking({ kind: 'keyspace', id: keyspace.id }, 1);

  const request = sampleRequest({ expireTime: Date.now() + REQUEST_TTL });
  await store.insertRequest(request);
  await store.readRequest(request.id);
  await store.finishRequest(request);
  await store.releaseRequest(request);

  await store.listUnpublished(9);
  for (const record of [
    { kind: 'key', id: key.id },
    { kind: 'keyspace', id: keyspace.id },
    { kind: 'owner', id: owner.id },
  ] as const) {
    await store.publishEvents(record);
    await store.listEvents(record);
  }
  const other = sampleKey();
  await store.addUsage(
    newBatch(),
    [key, other].map(({ id }) => ({ keyId: id, count: 1, lastUsedTime: T0 })),
  );
  await store.readUsage([key.id]);
  await store.readUsage([key.id, other.id]);
  await store.ping();
}

/** Calls all that a copy calls, on a store with something in it. */
export async function move(store: MongoKeyStore): Promise<void> {
  for (const kind of MOVED_KINDS) {
    for await (const { records, position } of store.batches(kind)) {
      await store.putRecords(kind, records);
      for await (const _ of store.batches(kind, position));
    }
  }
  await store.estimateRecords();
  await store.writeCopyNote('half', undefined);
  await store.readCopyNote();
  await store.writeCopyNote(undefined, 'half');
}
