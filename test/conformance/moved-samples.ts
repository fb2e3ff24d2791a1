/** Some of every kind that a copy moves. */

import { canonicalText } from '../../src/storage/copy/digest.ts';
import {
  MOVED_KINDS,
  type MovableStore,
  type Moved,
  type MovedKind,
} from '../../src/storage/movable-store.ts';
import { changed, newBatch, sampleEvent, sampleKey, sampleKeyspace, sampleSecret, T0 } from './samples.ts';

/** What a store holds.  */
export type All = { readonly [Kind in MovedKind]: readonly Moved[Kind][] };

/** Stores some of every kind by the ways of a service. @returns what that comes to. */
export async function fill(store: MovableStore): Promise<All> {
  const registry = changed(await store.readRegistry(), { prefixes: { a_: 'a', ab_: 'a-b' } });
  await store.replaceRegistry(registry);
  const loud = sampleKeyspace({ id: 'a-b' });
  const keyspace = [sampleKeyspace({ id: 'a' }), { ...loud, pending: [sampleEvent(loud)] }];
  for (const one of keyspace) await store.insertKeyspace(one);

  const bare = sampleKey({ keyspace: 'a', owner: { kind: 'user', id: '1' }, expireTime: T0 + 1 });
  const waiting = { ...bare, pending: [sampleEvent(bare), sampleEvent(bare)] };
  const quiet = sampleKey({ keyspace: 'a-b', metadata: { team: 'one' }, project: 'web' });
  const revoked = sampleKey({ keyspace: 'a', revokeTime: T0, revokeReason: 'lost', disabled: true });
  const secrets = {
    waiting: sampleSecret(waiting, { algorithm: 'hmac-sha256', pepperId: 'p1' }),
    quiet: sampleSecret(quiet, { algorithm: 'argon2id', hash: '$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA' }),
    revoked: sampleSecret(revoked),
  };
  const events = [sampleEvent(quiet), sampleEvent({ ...quiet, revision: 2 })];
  await store.insertKey(waiting, secrets.waiting);
  await store.insertKey({ ...quiet, pending: events }, secrets.quiet);
  await store.publishEvents({ kind: 'key', id: quiet.id });
  await store.insertKey(revoked, secrets.revoked);

  const usage = [
    { keyId: waiting.id, count: 3, lastUsedTime: T0 + 5 },
    { keyId: revoked.id, count: 1, lastUsedTime: T0 },
  ];
  await store.addUsage(newBatch(), usage);
  return sorted({
    registry: [registry],
    keyspace,
    key: [waiting, quiet, revoked],
    secret: Object.values(secrets),
    usage,
    event: events.map((event) => ({ record: { kind: 'key', id: quiet.id }, event })),
  });
}

/** All that the store gives. */
export async function allOf(store: MovableStore): Promise<All> {
  const kinds = MOVED_KINDS.map(async (kind) => {
    const found: unknown[] = [];
    for await (const { records } of store.batches(kind)) found.push(...records);
    return [kind, found] as const;
  });
  return sorted(Object.fromEntries(await Promise.all(kinds)) as unknown as All);
}

export async function putAll(store: MovableStore, all: All): Promise<void> {
  for (const kind of MOVED_KINDS) await store.putRecords(kind, all[kind]);
}

/** In the one order in which two of them can be compared. */
export function sorted(all: All): All {
  const inOrder = Object.entries(all).map(([kind, records]) => [
    kind,
    records
      .map((one) => [canonicalText(one), one] as const)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([, one]) => one),
  ]);
  return Object.fromEntries(inOrder) as All;
}
