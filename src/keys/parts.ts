/** What the operations on keys and keyspaces are made of; built once, in app.ts. */

import type { Changes } from '../coherence/changes.ts';
import type { Marking } from '../coherence/marking.ts';
import { type Caller, outOfReach, type Reach, reach, reaches } from '../domain/caller.ts';
import { Failure, notFound } from '../domain/failure.ts';
import type { Key } from '../domain/key.ts';
import type { Keyspace } from '../domain/keyspace.ts';
import { type ManagementPermission, RESERVED_KEYSPACE } from '../domain/permissions.ts';
import type { StandingKey } from '../domain/standing.ts';
import type { KeyStore } from '../storage/key-store.ts';
import type { Secrets } from '../verification/secrets.ts';
import { standingOf } from '../verification/standing.ts';
import type { UsageRecorder } from '../verification/usage.ts';
import type { Verifier } from '../verification/verifier.ts';

export interface Parts {
  readonly store: KeyStore;
  readonly changes: Changes;
  readonly marking: Marking;
  readonly secrets: Secrets;
  readonly usage: UsageRecorder;
  readonly verifier: Verifier;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** A keyspace that the caller reaches with a permission. @throws Failure `not-found` or `denied`. */
export async function reachKeyspace(
  parts: Parts,
  caller: Caller,
  permission: ManagementPermission,
  id: string,
): Promise<{ readonly keyspace: Keyspace; readonly within: Reach }> {
  const keyspace = (await parts.verifier.directory(true)).get(id);
  const within = keyspace === undefined ? undefined : reach(caller, permission, keyspace);
  if (keyspace === undefined || within === undefined)
    throw outOfReach(caller, permission, `keyspace "${id}"`);
  return { keyspace, within };
}

/** A key that a caller reaches. */
export interface ReachedKey {
  /** As it is recorded. */
  readonly key: Key;
  /** What may be done with it goes by how it stands. */
  readonly standing: StandingKey;
  readonly keyspace: Keyspace;
  readonly within: Reach;
}

/** A key that the caller reaches with a permission. @throws Failure `not-found` or `denied`. */
export async function reachKey(
  parts: Parts,
  caller: Caller,
  permission: ManagementPermission,
  id: string,
): Promise<ReachedKey> {
  const key = await parts.store.getKey(id);
  const keyspace = key === undefined ? undefined : (await parts.verifier.directory(true)).get(key.keyspace);
  const within = keyspace === undefined ? undefined : reach(caller, permission, keyspace);
  if (key === undefined || keyspace === undefined || within === undefined || !reaches(within, key)) {
    throw outOfReach(caller, permission, `key "${id}"`);
  }
  return { key, standing: await standingOf(parts.store, key, keyspace), keyspace, within };
}

/** For a record that was there a moment ago. */
export function gone(id: string): Error {
  return notFound(`key "${id}"`);
}

/** The refusal of what would have owner effects or a generation in the reserved keyspace. */
export function reserved(): Failure {
  return new Failure(
    'precondition',
    'RESERVED_KEYSPACE',
    `keyspace "${RESERVED_KEYSPACE}" has no owners, and its keys are revoked one by one`,
  );
}
