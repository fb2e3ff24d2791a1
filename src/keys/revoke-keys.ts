/** Revoking all keys of an owner or of a keyspace: by one write for each owner's record or keyspace. */

import type { Propagation } from '../coherence/spread.ts';
import { actorOf, type Caller, type CallOrigin, isManager, outOfReach, reach } from '../domain/caller.ts';
import { denied, Failure } from '../domain/failure.ts';
import { nextGeneration, type Revocation } from '../domain/generation.ts';
import type { Owner } from '../domain/key.ts';
import type { KeyspaceDirectory } from '../domain/keyspace.ts';
import { RESERVED_KEYSPACE } from '../domain/permissions.ts';
import { type Parts, reachKeyspace, reserved } from './parts.ts';
import { type Scope, snapshotOf, type Tally, tallyOf } from './tally.ts';

export interface RevokeKeysQuestion {
  /** Empty: every keyspace that the caller may revoke in. */
  readonly keyspace: string;
  /** Undefined: all keys. */
  readonly owner: Owner | undefined;
  /** Empty: none. */
  readonly reason: string;
  /** Revoke nothing, only say what would be. */
  readonly dryRun: boolean;
  /** Revoke only if so many keys match; undefined: however many. */
  readonly expectedCount: number | undefined;
}

/** Counts keys that were revoked by this; not those that were before. */
export interface RevokedKeys extends Tally {
  /** Undefined for a dry run. */
  readonly propagation: Propagation | undefined;
}

/**
 * Ends the generation of an owner's keys, or of all keys of keyspaces: when it returns none of them verifies, nor does one
 * that was being made meanwhile. Their records are marked afterwards. The reserved keyspace is left alone.
 *
 * @throws Failure `denied` or `not-found` where the caller may not, `precondition` for the reserved keyspace and where
 *   other than `expectedCount` keys match (then nothing was revoked), `unavailable`: some may be revoked; repeat it.
 */
export async function revokeKeys(
  parts: Parts,
  origin: CallOrigin,
  { keyspace, owner, reason, dryRun, expectedCount }: RevokeKeysQuestion,
): Promise<RevokedKeys> {
  const directory = await parts.verifier.directory(true);
  const keyspaces = await revocableKeyspaces(parts, origin.caller, keyspace, directory);
  const scope: Scope = { keyspaces, owner };
  const before = await snapshotOf(parts.store, directory, scope);

  // Without one of the two the write goes first: where keys leaked, counting them can wait.
  const countsFirst = dryRun || expectedCount !== undefined;
  let tally = countsFirst ? await tallyOf(before, scope, parts.now()) : undefined;
  if (tally !== undefined && expectedCount !== undefined && tally.count !== expectedCount) {
    throw new Failure(
      'precondition',
      'COUNT_MISMATCH',
      `${tally.count} ${tally.count === 1 ? 'key matches' : 'keys match'}, not ${expectedCount}; this call revoked nothing`,
    );
  }
  if (tally !== undefined && dryRun) return { ...tally, propagation: undefined };

  const ending = await endGenerations(parts, origin, scope, reason);
  try {
    if (ending.unconfirmed !== undefined) throw ending.unconfirmed;
    // Nothing is marked yet, so the records still tell which keys lived.
    tally ??= await tallyOf(before, scope, parts.now());
  } finally {
    for (const mark of ending.marks) mark();
  }
  return { ...tally, propagation: ending.propagation };
}

/** @throws Failure `denied`, `not-found`, or `precondition` for the reserved keyspace. */
async function revocableKeyspaces(
  parts: Parts,
  caller: Caller,
  keyspace: string,
  directory: KeyspaceDirectory,
): Promise<string[]> {
  if (!isManager(caller)) {
    throw denied('PERMISSION_MISSING', 'this call needs keys:revoke of a management key');
  }
  if (keyspace !== '') {
    await reachKeyspace(parts, caller, 'keys:revoke', keyspace);
    if (keyspace === RESERVED_KEYSPACE) throw reserved();
    return [keyspace];
  }
  const reached = directory.ids().filter((id) => {
    const one = directory.get(id);
    return id !== RESERVED_KEYSPACE && one !== undefined && reach(caller, 'keys:revoke', one) !== undefined;
  });
  if (reached.length === 0) throw outOfReach(caller, 'keys:revoke', 'keyspace');
  return reached;
}

interface Ending {
  /** What begins to mark the dead keys, for each record whose generation was ended. */
  readonly marks: readonly (() => void)[];
  readonly propagation: Propagation | undefined;
  /** Why not all replicas are known to have it. */
  readonly unconfirmed: unknown;
}

/** Ends all of them also where the other replicas cannot be reached: the call could be repeated for long. */
async function endGenerations(
  { changes, marking, now }: Parts,
  origin: CallOrigin,
  { keyspaces, owner }: Scope,
  reason: string,
): Promise<Ending> {
  const actor = actorOf(origin);
  const revocation: Revocation = { time: now(), actor, reason };
  const end = <R extends object>(record: R): R => ({ ...record, ...nextGeneration(record, revocation) });
  const changedFields = () => ['generation'];
  const marks: (() => void)[] = [];
  let propagation: Propagation | undefined;
  let unconfirmed: unknown;
  for (const keyspace of keyspaces) {
    const options = {
      actor,
      changedFields,
      confirmation: unconfirmed === undefined ? 'tried' : 'unneeded',
      first: true,
    } as const;
    if (owner === undefined) {
      const changed = await changes.changeKeyspace(keyspace, end, {
        ...options,
        action: 'keyspace.revoke_keys',
      });
      if (changed === undefined) continue;
      marks.push(() => marking.ofKeyspace(changed.record));
      propagation = changed.propagation;
      unconfirmed ??= changed.unconfirmed;
    } else {
      // Also where it has no record and no key: one that is being made there is to be dead as well.
      const changed = await changes.changeOwner(keyspace, owner, end, {
        ...options,
        action: 'owner.revoke_keys',
      });
      marks.push(() => marking.ofOwner(changed.record));
      propagation = changed.propagation;
      unconfirmed ??= changed.unconfirmed;
    }
  }
  return { marks, propagation, unconfirmed };
}
