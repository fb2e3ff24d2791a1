/** Reading and changing what is recorded of owners. */

import { isDeepStrictEqual } from 'node:util';
import type { Changed } from '../coherence/changes.ts';
import { actorOf, type Caller, type CallOrigin, isManager, outOfReach, reach } from '../domain/caller.ts';
import { invalid, notFound } from '../domain/failure.ts';
import { nextGeneration } from '../domain/generation.ts';
import { type Owner, ownerText } from '../domain/key.ts';
import type { Keyspace } from '../domain/keyspace.ts';
import { type OwnerRecord, ownerId } from '../domain/owner.ts';
import { type ManagementPermission, managesSomewhere, RESERVED_KEYSPACE } from '../domain/permissions.ts';
import type { OwnerPosition } from '../storage/key-store.ts';
import { makePageToken, readPageToken } from './page-token.ts';
import { type Parts, reachKeyspace, reserved } from './parts.ts';
import { checkPermissions } from './plan.ts';

/** Who administers owners may read them. */
const READERS = ['owners:read', 'owners:admin'] as const;

/** What the record of a key that not_before killed says. */
const NOT_BEFORE_REASON = "the owner's not_before was set";

/** The fields to change. An absent one stays. */
export interface OwnerChanges {
  /** null: no bound. */
  readonly permissionBound?: readonly string[] | null;
  readonly disabled?: boolean;
  /** Milliseconds since 1970; null where the mask names it without a value. */
  readonly notBefore?: number | null;
}

const FIELD_NAMES: Readonly<Record<keyof OwnerChanges | 'generation', string>> = {
  permissionBound: 'permission_bound',
  disabled: 'disabled',
  notBefore: 'not_before',
  generation: 'generation',
};

/** One owner's record. @throws Failure `not-found`, also where nothing is recorded of the owner, `denied`, `unavailable`. */
export async function getOwner(
  parts: Parts,
  caller: Caller,
  keyspaceId: string,
  owner: Owner,
): Promise<OwnerRecord> {
  const what = `a record of owner "${ownerText(owner)}" in keyspace "${keyspaceId}"`;
  const keyspace = (await parts.verifier.directory(true)).get(keyspaceId);
  if (keyspace === undefined || !mayRead(caller, keyspace)) {
    throw outOfReach(caller, readingPermission(caller), what);
  }
  const record = await parts.store.getOwner(ownerId(keyspaceId, owner));
  if (record === undefined) throw notFound(what);
  return record;
}

export interface OwnerQuestion {
  /** Empty: every keyspace that the caller may read owners of. */
  readonly keyspace: string;
  readonly kind?: string;
  readonly disabled?: boolean;
  readonly pageSize: number;
  /** Empty: from the first on. */
  readonly pageToken: string;
}

export interface OwnerListing {
  readonly owners: readonly OwnerRecord[];
  /** Whether others follow behind these. */
  readonly more: boolean;
  /** The token of the page that begins behind an owner of this one. */
  tokenAfter(position: OwnerPosition): string;
}

/**
 * Owners that have a record and that the caller may read, by keyspace, kind and id.
 *
 * @throws Failure `invalid` for a page token of another listing or caller, `not-found`, `denied`, `unavailable`.
 */
export async function listOwners(
  parts: Parts,
  caller: Caller,
  { keyspace, pageSize, pageToken, ...filter }: OwnerQuestion,
): Promise<OwnerListing> {
  const directory = await parts.verifier.directory(true);
  const asked = keyspace === '' ? directory.ids() : [keyspace];
  const keyspaces = asked.filter((id) => {
    const one = directory.get(id);
    return one !== undefined && mayRead(caller, one);
  });
  if (keyspaces.length === 0) {
    const what = keyspace === '' ? 'keyspace' : `keyspace "${keyspace}"`;
    throw outOfReach(caller, readingPermission(caller), what);
  }
  const { macKey } = await parts.store.readRegistry();
  const listing = ['owners', caller.key.id, keyspace, filter];
  const after = pageToken === '' ? undefined : readPageToken<OwnerPosition>(macKey, listing, pageToken);
  const owners = await parts.store.listOwners({ ...filter, keyspaces }, after, pageSize + 1);
  return {
    owners: owners.slice(0, pageSize),
    more: owners.length > pageSize,
    tokenAfter: (position) =>
      makePageToken(macKey, listing, { keyspace: position.keyspace, owner: position.owner }),
  };
}

function mayRead(caller: Caller, keyspace: Keyspace): boolean {
  return READERS.some((permission) => reach(caller, permission, keyspace) !== undefined);
}

/** The one that the caller has somewhere, so that it is told what is not there; else the one that it would need. */
function readingPermission(caller: Caller): ManagementPermission {
  const held = READERS.find((one) => isManager(caller) && managesSomewhere(caller.key.permissions, one));
  return held ?? 'owners:read';
}

/**
 * Changes an owner's record, and makes it where there is none. A change holds for all of the owner's keys when this
 * returns. Setting not_before ends the generation of the owner's keys, each time.
 *
 * @throws Failure `invalid`, `not-found` where there is no such keyspace, `denied`, `precondition` for the reserved
 *   keyspace, `conflict` where the revision is not `expectedRevision` (0: no record), `unavailable`.
 */
export async function updateOwner(
  parts: Parts,
  origin: CallOrigin,
  { keyspace, owner }: OwnerPosition,
  changes: OwnerChanges,
  expectedRevision: number | undefined,
): Promise<Changed<OwnerRecord>> {
  await reachKeyspace(parts, origin.caller, 'owners:admin', keyspace);
  if (keyspace === RESERVED_KEYSPACE) throw reserved();
  const actor = actorOf(origin);
  const changed = await parts.changes.changeOwner(
    keyspace,
    owner,
    (record) => {
      const next = withChanges(record, changes);
      const ended =
        next.notBefore === undefined || changes.notBefore === undefined
          ? next
          : { ...next, ...nextGeneration(record, { time: parts.now(), actor, reason: NOT_BEFORE_REASON }) };
      // A blank record is none yet, and the call asks for one.
      return record.revision > 0 && isDeepStrictEqual(record, ended) ? record : ended;
    },
    {
      action: 'owner.update',
      actor,
      changedFields,
      first: changes.disabled === true || changes.notBefore !== undefined,
      ...(expectedRevision === undefined ? {} : { expectedRevision }),
    },
  );
  if (changes.notBefore !== undefined) parts.marking.ofOwner(changed.record);
  return changed;
}

function withChanges(
  record: OwnerRecord,
  { permissionBound, disabled, notBefore }: OwnerChanges,
): OwnerRecord {
  const next: { -readonly [P in keyof OwnerRecord]: OwnerRecord[P] } = { ...record };
  if (disabled !== undefined) next.disabled = disabled;
  if (permissionBound === null) delete next.permissionBound;
  else if (permissionBound !== undefined) {
    const field = 'owner.permission_bound.permissions';
    next.permissionBound = checkPermissions(record.keyspace, permissionBound, field);
  }
  // Taken away it would bring back sessions that it had ended.
  if (notBefore === null) throw invalid('owner.not_before', 'value is required; it cannot be taken back');
  if (notBefore !== undefined) next.notBefore = notBefore;
  return next;
}

function changedFields(before: OwnerRecord, after: OwnerRecord): string[] {
  return (Object.keys(FIELD_NAMES) as (keyof typeof FIELD_NAMES)[])
    .filter((field) => !isDeepStrictEqual(before[field], after[field]))
    .map((field) => FIELD_NAMES[field]);
}
