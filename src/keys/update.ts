/** Changing a key. */

import { isDeepStrictEqual } from 'node:util';
import type { Changed } from '../coherence/changes.ts';
import { actorOf, type Caller, type CallOrigin, holdsMore } from '../domain/caller.ts';
import { denied, Failure, invalid } from '../domain/failure.ts';
import type { Key } from '../domain/key.ts';
import type { Keyspace } from '../domain/keyspace.ts';
import { RESERVED_KEYSPACE } from '../domain/permissions.ts';
import { gone, type Parts, reachKey } from './parts.ts';
import { checkExpireTime, checkInheriting, checkNetworks, checkPermissions } from './plan.ts';

/** The fields to change. An absent one stays; `null` takes the value away. */
export interface KeyChanges {
  readonly name?: string;
  readonly permissions?: readonly string[];
  /** true takes the key's own permissions away; false leaves it with none until it is given some. */
  readonly inheritOwnerPermissions?: boolean;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Milliseconds since 1970; null: never expires. */
  readonly expireTime?: number | null;
  readonly disabled?: boolean;
  /** null: bound to no project. */
  readonly project?: string | null;
  readonly allowedCidrs?: readonly string[];
  /** End of the overlap in milliseconds since 1970, which can only be brought forward; null: now. */
  readonly previousSecret?: number | null;
}

const FIELD_NAMES: Readonly<Record<keyof KeyChanges, string>> = {
  name: 'name',
  permissions: 'permissions',
  inheritOwnerPermissions: 'inherit_owner_permissions',
  metadata: 'metadata',
  expireTime: 'expire_time',
  disabled: 'disabled',
  project: 'project',
  allowedCidrs: 'allowed_cidrs',
  previousSecret: 'previous_secret',
};

/**
 * Changes a key. Self-service may change the name only.
 *
 * @throws Failure `invalid`, `denied`, `not-found`, `precondition` for a revoked key, `conflict` where the revision is
 *   not `expectedRevision`, `unavailable`.
 */
export async function updateKey(
  parts: Parts,
  origin: CallOrigin,
  id: string,
  changes: KeyChanges,
  expectedRevision: number | undefined,
): Promise<Changed<Key>> {
  const { standing, keyspace, within } = await reachKey(parts, origin.caller, 'keys:update', id);
  if (within.scope === 'owner') refuseBeyondName(changes);

  const updated = await parts.changes.changeKey(
    id,
    (key) => {
      // What has ended stays so: a generation only grows, and a key's own never changes.
      refuseRevoked(key.revokeTime ?? standing.revokeTime);
      const next = applyChanges(key, keyspace, changes, parts.now());
      refuseMoreThanCaller(origin.caller, key, next);
      return isDeepStrictEqual(next, key) ? key : next;
    },
    {
      action: 'key.update',
      actor: actorOf(origin),
      changedFields: changedFields,
      first: changes.disabled === true,
      ...(expectedRevision === undefined ? {} : { expectedRevision }),
    },
  );
  if (updated === undefined) throw gone(id);
  return updated;
}

function refuseRevoked(revokeTime: number | undefined): void {
  if (revokeTime !== undefined) {
    throw new Failure('precondition', 'KEY_REVOKED', 'the key is revoked, which is final');
  }
}

function refuseBeyondName(changes: KeyChanges): void {
  const beyond = Object.keys(changes).find((field) => field !== 'name') as keyof KeyChanges | undefined;
  if (beyond !== undefined) {
    throw denied('FIELD_NOT_YOURS', `${FIELD_NAMES[beyond]}: self-service may change the name only`);
  }
}

function refuseMoreThanCaller(caller: Caller, before: Key, after: Key): void {
  if (before.keyspace !== RESERVED_KEYSPACE) return;
  if (holdsMore(caller, before) || holdsMore(caller, after)) {
    throw denied('HOLDS_MORE_THAN_CALLER', 'the key holds, or would hold, more than the calling key');
  }
}

function applyChanges(key: Key, keyspace: Keyspace, changes: KeyChanges, now: number): Key {
  const {
    expireTime,
    project,
    permissions,
    inheritOwnerPermissions,
    allowedCidrs,
    previousSecret,
    ...plain
  } = changes;
  const next: { -readonly [P in keyof Key]: Key[P] } = { ...key, ...plain };
  if (permissions !== undefined)
    next.permissions = checkPermissions(key.keyspace, permissions, 'key.permissions');
  setInheriting(next, inheritOwnerPermissions, permissions);
  if (allowedCidrs !== undefined) next.allowedCidrs = checkNetworks(allowedCidrs, 'key.allowed_cidrs');
  if (project === null) delete next.project;
  else if (project !== undefined) next.project = project;
  if (expireTime !== undefined && (expireTime ?? undefined) !== key.expireTime) {
    checkExpireTime(keyspace, key.createTime, expireTime ?? undefined, now, 'key.expire_time');
    if (expireTime === null) delete next.expireTime;
    else next.expireTime = expireTime;
  }
  return previousSecret === undefined ? next : withOverlapUntil(next, previousSecret, now);
}

/** @param named the permissions that the same change names. */
function setInheriting(
  key: { -readonly [P in keyof Key]: Key[P] },
  inherits: boolean | undefined,
  named: readonly string[] | undefined,
): void {
  if (inherits === false) delete key.inheritOwnerPermissions;
  else if (inherits === true) key.inheritOwnerPermissions = true;
  if (key.inheritOwnerPermissions !== true) return;
  checkInheriting(key.keyspace, key.owner, named ?? [], 'key.');
  key.permissions = [];
}

function withOverlapUntil({ previous, ...key }: Key, end: number | null, now: number): Key {
  const lives = previous !== undefined && now < previous.expireTime;
  if (end === null) return key;
  if (!lives) {
    throw new Failure(
      'precondition',
      'NO_PREVIOUS_SECRET',
      'the key has no previous secret that still works',
    );
  }
  if (end > previous.expireTime) {
    throw invalid(
      'key.previous_secret.expire_time',
      `must not be later than it is, ${new Date(previous.expireTime).toISOString()}; an overlap can only be cut short`,
    );
  }
  return end <= now ? key : { ...key, previous: { ...previous, expireTime: end } };
}

function changedFields(before: Key, after: Key): string[] {
  return (Object.keys(FIELD_NAMES) as (keyof KeyChanges)[])
    .filter((field) => {
      const property = field === 'previousSecret' ? 'previous' : field;
      return !isDeepStrictEqual(before[property], after[property]);
    })
    .map((field) => FIELD_NAMES[field]);
}
