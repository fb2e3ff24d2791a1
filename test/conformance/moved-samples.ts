/** Some of every kind that a copy moves. */

import { secretUsageId } from '../../src/domain/key.ts';
import { REQUEST_TTL } from '../../src/domain/request.ts';
import { canonicalText } from '../../src/storage/copy/digest.ts';
import {
  MOVED_KINDS,
  type MovableStore,
  type Moved,
  type MovedKind,
} from '../../src/storage/movable-store.ts';
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
} from './samples.ts';

/** A generation that was ended, and dead keys of which may not be marked. */
const ENDED = {
  generation: 1,
  revocation: { time: T0, actor: { id: 'key_admin', requestId: 'r1' }, reason: 'leaked' },
  unmarked: true,
} as const;

/** What a store holds.  */
export type All = { readonly [Kind in MovedKind]: readonly Moved[Kind][] };

/** Stores some of every kind by the ways of a service. @returns what that comes to. */
export async function fill(store: MovableStore): Promise<All> {
  const registry = changed(await store.readRegistry(), { prefixes: { a_: 'a', ab_: 'a-b' } });
  await store.replaceRegistry(registry);
  const loud = sampleKeyspace({ id: 'a-b' });
  const keyspace = [
    sampleKeyspace({ id: 'a', olderAnswersUntil: T0, ...ENDED }),
    { ...loud, pending: [sampleEvent(loud)] },
  ];
  for (const one of keyspace) await store.insertKeyspace(one);

  const silent = sampleOwner({ keyspace: 'a', permissionBound: ['docs:*'], notBefore: T0 - 9 });
  const owner = [
    { ...silent, pending: [sampleEvent(silent)] },
    sampleOwner({ keyspace: 'a-b', disabled: true, ...ENDED }),
    sampleOwner({ keyspace: 'a-b', generation: 2, revocation: ENDED.revocation }),
  ];
  for (const one of owner) await store.insertOwner(one);

  const bare = sampleKey({ keyspace: 'a', owner: { kind: 'user', id: '1' }, expireTime: T0 + 1 });
  const waiting = { ...bare, pending: [sampleEvent(bare), sampleEvent(bare)] };
  const quiet = sampleKey({ keyspace: 'a-b', metadata: { team: 'one' }, project: 'web' });
  const revoked = sampleKey({ keyspace: 'a', revokeTime: T0, revokeReason: 'lost', disabled: true });
  const rotated = sampleKey({
    keyspace: 'a-b',
    parentKeyId: quiet.id,
    ownerGeneration: 2,
    previous: { generation: 'before', expireTime: T0 + 9 },
    rotationRequest: { id: 'request', expireTime: T0 },
  });
  const secrets = {
    waiting: sampleSecret(waiting, { algorithm: 'hmac-sha256', pepperId: 'p1' }),
    quiet: sampleSecret(quiet, { algorithm: 'argon2id', hash: '$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA' }),
    revoked: sampleSecret(revoked),
    rotated: sampleSecret(rotated),
    replaced: sampleSecret(rotated, { generation: 'before' }),
  };
  const events = [sampleEvent(quiet), sampleEvent({ ...quiet, revision: 2 })];
  await store.insertKey(waiting, secrets.waiting);
  await store.insertKey({ ...quiet, pending: events }, secrets.quiet);
  await store.publishEvents({ kind: 'key', id: quiet.id });
  await store.insertKey(revoked, secrets.revoked);
  await store.insertSecret(secrets.replaced);
  await store.insertKey(rotated, secrets.rotated);

  const usage = [
    { keyId: waiting.id, count: 3, lastUsedTime: T0 + 5 },
    { keyId: revoked.id, count: 1, lastUsedTime: T0 },
    { keyId: secretUsageId(rotated.id, 'before'), count: 2, lastUsedTime: T0 },
  ];
  await store.addUsage(newBatch(), usage);

  // Of today: a server drops those that expired long ago.
  const expireTime = Date.now() + REQUEST_TTL;
  const request = [
    sampleRequest({ expireTime, keyId: quiet.id }),
    sampleRequest({ expireTime, keyId: rotated.id, done: true }),
  ];
  for (const { done, ...noted } of request) {
    await store.insertRequest(noted);
    if (done) await store.finishRequest(noted);
  }
  return sorted({
    registry: [registry],
    keyspace,
    owner,
    key: [waiting, quiet, revoked, rotated],
    secret: Object.values(secrets),
    usage,
    event: events.map((event) => ({ record: { kind: 'key', id: quiet.id }, event })),
    request,
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
