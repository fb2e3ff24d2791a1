/**
 * A key as it stands: its own record, and what its keyspace and its owner make of it. Computed on each read, so that one
 * write to an owner's record takes effect on all of the owner's keys at once.
 */

import { endOf, type Revocation } from './generation.ts';
import type { Key } from './key.ts';
import type { Keyspace } from './keyspace.ts';
import { optional } from './optional.ts';
import type { OwnerRecord } from './owner.ts';
import { meet, RESERVED_KEYSPACE, uncovered } from './permissions.ts';

/** Never written back: what it says of revocation and permissions is not the record's own. */
export interface StandingKey extends Key {
  /** What the key may do now, within its owner's bound. */
  readonly permissions: readonly string[];
  /** What the record says that it may do. */
  readonly ownPermissions: readonly string[];
  readonly ownerDisabled: boolean;
}

/** @param owner the record of the key's owner; undefined: it has none, or the key has no owner. */
export function standing(key: Key, keyspace: Keyspace, owner: OwnerRecord | undefined): StandingKey {
  const ruled = inItsGeneration(key, keyspace, owner);
  const free = keyspace.id === RESERVED_KEYSPACE;
  return {
    ...ruled,
    permissions: free ? key.permissions : effectivePermissions(key, owner),
    ownPermissions: key.permissions,
    ownerDisabled: !free && owner?.disabled === true,
  };
}

/** The key's record, revoked where its generation has ended. For showing: permissions are the key's own. */
export function inItsGeneration(key: Key, keyspace: Keyspace, owner: OwnerRecord | undefined): Key {
  const end = generationEnd(key, keyspace, owner);
  return end === undefined || key.revokeTime !== undefined ? key : revokedBy(key, end);
}

/** What ended the key's generation, its owner's or its keyspace's, the earlier one; undefined: it lives. */
export function generationEnd(
  key: Key,
  keyspace: Keyspace,
  owner: OwnerRecord | undefined,
): Revocation | undefined {
  // Nobody may lock out all operators at once, so the reserved keyspace has no generations.
  if (keyspace.id === RESERVED_KEYSPACE) return undefined;
  const ends = [endOf(owner, key.ownerGeneration), endOf(keyspace, key.keyspaceGeneration)];
  return ends
    .filter((end) => end !== undefined)
    .sort((one, other) => one.time - other.time)
    .at(0);
}

/** The key as one that a revocation of its whole generation revoked. */
export function revokedBy(key: Key, { time, reason }: Revocation): Key {
  return {
    ...key,
    // Another process's clock may be ahead.
    revokeTime: Math.max(time, key.createTime),
    ...optional('revokeReason', reason === '' ? undefined : reason),
  };
}

function effectivePermissions(key: Key, owner: OwnerRecord | undefined): readonly string[] {
  const bound = owner?.permissionBound;
  if (key.inheritOwnerPermissions === true) return bound ?? [];
  return bound === undefined ? key.permissions : meet(key.permissions, bound);
}

/**
 * Whether a key may do something that `holder` may not, or could as soon as their owner's bound is widened: a key that
 * inherits has whatever the bound will list.
 */
export function isBeyond(holder: StandingKey, key: StandingKey): boolean {
  return (
    uncovered(holder.permissions, key.permissions).length > 0 ||
    uncovered(widest(holder), widest(key)).length > 0
  );
}

function widest({ inheritOwnerPermissions, ownPermissions }: StandingKey): readonly string[] {
  return inheritOwnerPermissions === true ? ['*'] : ownPermissions;
}
