/**
 * What a new key will be, decided from who asks, the keyspace's policy and the request. Pure, so that it
 * can be decided again after the write: had the caller been revoked or narrowed meanwhile, the plan fails.
 */

import { canonicalNetwork, networksWithin } from '../domain/address.ts';
import { type Caller, outlives, outOfReach, reach } from '../domain/caller.ts';
import { denied, invalid, invalidFields, type Violation } from '../domain/failure.ts';
import { type Key, type Owner, sameOwner } from '../domain/key.ts';
import type { Keyspace } from '../domain/keyspace.ts';
import { optional } from '../domain/optional.ts';
import {
  beyondManagement,
  isHeldPermission,
  isManagementPermission,
  MANAGEMENT_PERMISSIONS,
  RESERVED_KEYSPACE,
  uncovered,
} from '../domain/permissions.ts';

/** When a key is to die: after a time to live (milliseconds), at a moment (milliseconds since 1970), or never. */
export type Expiry =
  | { readonly kind: 'ttl'; readonly ttl: number }
  | { readonly kind: 'at'; readonly time: number }
  | { readonly kind: 'never' };

/** A request for a key. Empty lists and maps mean that it says nothing. */
export interface KeyRequest {
  readonly name: string;
  readonly owner?: Owner;
  readonly project?: string;
  readonly permissions: readonly string[];
  readonly inheritOwnerPermissions?: true;
  readonly metadata: Readonly<Record<string, string>>;
  readonly allowedCidrs: readonly string[];
  readonly expiry?: Expiry;
}

/** The parts of a key that the request, the policy and the caller decide. */
export type KeyPlan = Pick<
  Key,
  | 'name'
  | 'owner'
  | 'project'
  | 'permissions'
  | 'inheritOwnerPermissions'
  | 'metadata'
  | 'allowedCidrs'
  | 'createTime'
  | 'expireTime'
  | 'parentKeyId'
>;

/**
 * Plans a key.
 *
 * @throws Failure `invalid` with the field, `denied` where the key would hold more than its maker may give, `not-found`
 *   or `denied` where the caller does not reach the keyspace.
 */
export function planKey(caller: Caller, keyspace: Keyspace, request: KeyRequest, now: number): KeyPlan {
  const within = reach(caller, 'keys:create', keyspace);
  if (within === undefined) throw outOfReach(caller, 'keys:create', `keyspace "${keyspace.id}"`);

  const permissions = checkPermissions(keyspace.id, request.permissions, 'permissions');
  const inherits = request.inheritOwnerPermissions === true;
  const allowedCidrs = checkNetworks(request.allowedCidrs, 'allowed_cidrs');
  const metadata = isEmpty(request.metadata) ? keyspace.keyDefaults.metadata : request.metadata;

  if (within.scope === 'owner') {
    if (inherits) {
      throw denied(
        'FIELD_NOT_YOURS',
        "inherit_owner_permissions: a self-service key gets permissions of the calling key's",
      );
    }
    const { owner, project } = ownPlace(within, request);
    return {
      name: request.name,
      createTime: now,
      owner,
      ...optional('project', project),
      permissions: narrowedPermissions(caller, permissions),
      metadata: keyspace.keyDefaults.metadata,
      allowedCidrs: narrowedNetworks(caller, allowedCidrs),
      ...optional('expireTime', expireTime(keyspace, request.expiry, now, lifeBound(caller, keyspace))),
      parentKeyId: caller.key.id,
    };
  }
  const management = keyspace.id === RESERVED_KEYSPACE;
  if (inherits) checkInheriting(keyspace.id, request.owner, permissions, '');
  return {
    name: request.name,
    createTime: now,
    ...optional('owner', request.owner),
    ...optional('project', request.project),
    ...(inherits
      ? { permissions: [], inheritOwnerPermissions: true as const }
      : { permissions: managedPermissions(caller, keyspace, permissions) }),
    metadata,
    allowedCidrs: management ? narrowedNetworks(caller, allowedCidrs) : allowedCidrs,
    ...optional(
      'expireTime',
      expireTime(keyspace, request.expiry, now, management ? caller.key.expireTime : undefined),
    ),
  };
}

/** Checks held permissions, without repeats. @throws Failure `invalid` naming each bad one by its path. */
export function checkPermissions(
  keyspaceId: string,
  permissions: readonly string[],
  field: string,
): string[] {
  const management = keyspaceId === RESERVED_KEYSPACE;
  const isGood = management ? isManagementPermission : isHeldPermission;
  const accepted = management
    ? `must be *, or one of ${MANAGEMENT_PERMISSIONS.join(', ')}, optionally followed by @<keyspace>`
    : 'must be of A-Z a-z 0-9 . _ : / - (1 to 128), may end in :*, or be *';
  const violations: Violation[] = permissions.flatMap((permission, index) =>
    isGood(permission) ? [] : [{ field: `${field}[${index}]`, description: accepted }],
  );
  if (violations.length > 0) throw invalidFields(violations);
  return [...new Set(permissions)];
}

/**
 * Whether a key may have what its owner's bound lists, instead of permissions of its own.
 *
 * @param at path of the key in the request, such as `key.`.
 * @throws Failure `invalid`.
 */
export function checkInheriting(
  keyspaceId: string,
  owner: Owner | undefined,
  permissions: readonly string[],
  at: string,
): void {
  const field = `${at}inherit_owner_permissions`;
  if (keyspaceId === RESERVED_KEYSPACE) throw invalid(field, 'the reserved keyspace has no owner effects');
  if (owner === undefined) throw invalid(field, 'needs a key with an owner');
  if (permissions.length > 0) {
    throw invalid(`${at}permissions`, 'must be empty with inherit_owner_permissions');
  }
}

/** Canonical forms of the networks, without repeats. @throws Failure `invalid` naming each bad one by its path. */
export function checkNetworks(networks: readonly string[], field: string): string[] {
  const violations: Violation[] = [];
  const canonical = networks.map((text, index) => {
    const result = canonicalNetwork(text);
    if ('network' in result) return result.network;
    violations.push({ field: `${field}[${index}]`, description: result.error });
    return text;
  });
  if (violations.length > 0) throw invalidFields(violations);
  return [...new Set(canonical)];
}

/** Checks a moment of expiry against now and the keyspace's max_ttl, which counts from the key's creation. */
export function checkExpireTime(
  keyspace: Keyspace,
  createTime: number,
  time: number | undefined,
  now: number,
  field: string,
): void {
  if (time !== undefined && time <= now) {
    throw invalid(field, 'must be in the future; to stop a key now, revoke or disable it');
  }
  const latest = latestExpiry(keyspace, createTime);
  if (outlives(time, latest)) {
    throw invalid(
      field,
      `must not be later than the keyspace's max_ttl allows, ${new Date(latest ?? 0).toISOString()}`,
    );
  }
}

function latestExpiry(keyspace: Keyspace, createTime: number): number | undefined {
  return keyspace.maxTtl === undefined ? undefined : createTime + keyspace.maxTtl;
}

/** Owner and project of a key made by self-service: the caller's own. */
function ownPlace(
  own: { readonly owner: Owner; readonly project: string | undefined },
  request: KeyRequest,
): { readonly owner: Owner; readonly project: string | undefined } {
  if (request.owner !== undefined && !sameOwner(request.owner, own.owner)) {
    throw denied('OWNER_NOT_YOURS', 'owner: the calling key may only make keys of its own owner');
  }
  if (own.project !== undefined && request.project !== undefined && request.project !== own.project) {
    throw denied('PROJECT_NOT_YOURS', 'project: the calling key is bound to another project');
  }
  if (!isEmpty(request.metadata)) {
    throw denied('FIELD_NOT_YOURS', "metadata: a self-service key gets the keyspace's key_defaults");
  }
  return { owner: own.owner, project: own.project ?? request.project };
}

function narrowedPermissions(caller: Caller, wanted: readonly string[]): readonly string[] {
  if (wanted.length === 0) return caller.key.permissions;
  const beyond = uncovered(caller.key.permissions, wanted);
  if (beyond.length > 0)
    throw holdsTooMuch('permissions', `the calling key does not hold ${beyond.join(', ')}`);
  return wanted;
}

function managedPermissions(
  caller: Caller,
  keyspace: Keyspace,
  wanted: readonly string[],
): readonly string[] {
  const permissions = wanted.length === 0 ? keyspace.keyDefaults.permissions : wanted;
  if (keyspace.id === RESERVED_KEYSPACE) refuseBeyondCaller(caller, permissions, 'permissions');
  return permissions;
}

/** @throws Failure `denied` where management permissions go beyond what the caller holds. */
export function refuseBeyondCaller(caller: Caller, permissions: readonly string[], field: string): void {
  const beyond = beyondManagement(caller.key.permissions, permissions);
  if (beyond.length > 0) throw holdsTooMuch(field, `the calling key does not hold ${beyond.join(', ')}`);
}

function narrowedNetworks(caller: Caller, wanted: readonly string[]): readonly string[] {
  if (wanted.length === 0) return caller.key.allowedCidrs;
  if (!networksWithin(caller.key.allowedCidrs, wanted)) {
    throw holdsTooMuch('allowed_cidrs', 'the calling key is limited to narrower networks');
  }
  return wanted;
}

function lifeBound(caller: Caller, keyspace: Keyspace): number | undefined {
  return keyspace.selfServiceMayOutlive ? undefined : caller.key.expireTime;
}

/** @param bound the latest end that the maker may give; what says nothing is cut to it, what asks for more is refused. */
function expireTime(
  keyspace: Keyspace,
  expiry: Expiry | undefined,
  now: number,
  bound: number | undefined,
): number | undefined {
  if (expiry === undefined) {
    const ttl = keyspace.defaultTtl ?? keyspace.maxTtl;
    const time = ttl === undefined ? undefined : now + ttl;
    return outlives(time, bound) ? bound : time;
  }
  const field = { ttl: 'ttl', at: 'expire_time', never: 'never_expires' }[expiry.kind];
  const time = expiry.kind === 'never' ? undefined : expiry.kind === 'at' ? expiry.time : now + expiry.ttl;
  checkExpireTime(keyspace, now, time, now, field);
  if (outlives(time, bound)) throw holdsTooMuch(field, 'the key would outlive the calling key');
  return time;
}

function holdsTooMuch(field: string, why: string): Error {
  return denied('HOLDS_MORE_THAN_CALLER', `${field}: ${why}`);
}

function isEmpty(map: Readonly<Record<string, string>>): boolean {
  return Object.keys(map).length === 0;
}
