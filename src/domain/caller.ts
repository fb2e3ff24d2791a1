/**
 * Who calls, and how far its rights reach. A caller is a key like any other: a management key reaches
 * keyspaces through its permissions, any other key reaches its own owner's keys where the keyspace allows
 * self-service.
 */

import { networksWithin } from './address.ts';
import type { Actor } from './event.ts';
import { denied, type Failure, notFound } from './failure.ts';
import { type Key, type Owner, sameOwner } from './key.ts';
import type { Keyspace } from './keyspace.ts';
import {
  beyondManagement,
  covers,
  type ManagementPermission,
  manages,
  managesSomewhere,
  RESERVED_KEYSPACE,
} from './permissions.ts';
import type { StandingKey } from './standing.ts';

/** An authenticated caller: its key was judged live, from an allowed address. */
export interface Caller {
  /** As it stands: its permissions are those that it has within its owner's bound. */
  readonly key: StandingKey;
  readonly keyspace: Keyspace;
  /** The generation of the secret that it showed. */
  readonly generation: string;
}

/** How far a caller reaches into one keyspace: all of it, or one owner's keys (of one project, where bound). */
export type Reach =
  | { readonly scope: 'keyspace' }
  | { readonly scope: 'owner'; readonly owner: Owner; readonly project: string | undefined };

const SELF_SERVICE: readonly ManagementPermission[] = [
  'keys:create',
  'keys:read',
  'keys:update',
  'keys:rotate',
  'keys:revoke',
];

/** The caller's reach with a permission into a keyspace; undefined where it has none. */
export function reach(
  caller: Caller,
  permission: ManagementPermission,
  keyspace: Keyspace,
): Reach | undefined {
  if (isManager(caller)) {
    return manages(caller.key.permissions, permission, keyspace.id) ? { scope: 'keyspace' } : undefined;
  }
  const own = selfServiceReach(caller, keyspace);
  return SELF_SERVICE.includes(permission) ? own : undefined;
}

function selfServiceReach({ key }: Caller, keyspace: Keyspace): Reach | undefined {
  if (key.keyspace !== keyspace.id || keyspace.id === RESERVED_KEYSPACE) return undefined;
  if (key.owner === undefined || !keyspace.selfServiceCallers.includes('key')) return undefined;
  const needed = keyspace.selfServicePermission;
  if (needed !== undefined && !key.permissions.some((held) => covers(held, needed))) return undefined;
  return { scope: 'owner', owner: key.owner, project: key.project };
}

/** Whether the caller's permissions are management permissions: they count as such only in the reserved keyspace. */
export function isManager(caller: Caller): boolean {
  return caller.key.keyspace === RESERVED_KEYSPACE;
}

/** Whether a key lies within a reach into its keyspace. */
export function reaches(reach: Reach, key: Key): boolean {
  if (reach.scope === 'keyspace') return true;
  return sameOwner(reach.owner, key.owner) && (reach.project === undefined || reach.project === key.project);
}

/**
 * The refusal for a caller that does not reach something. Who has the permission nowhere is told so; who
 * has it elsewhere learns nothing of what may be here.
 */
export function outOfReach(caller: Caller, permission: ManagementPermission, what: string): Failure {
  const somewhere = isManager(caller)
    ? managesSomewhere(caller.key.permissions, permission)
    : reach(caller, permission, caller.keyspace) !== undefined;
  if (somewhere) return notFound(what);
  return denied('PERMISSION_MISSING', `this call needs ${permission}, which the calling key does not have`);
}

/** Whether a management key holds more than the caller: such a key it may neither make nor touch. */
export function holdsMore(
  caller: Caller,
  key: Pick<Key, 'permissions' | 'allowedCidrs' | 'expireTime'>,
): boolean {
  return (
    beyondManagement(caller.key.permissions, key.permissions).length > 0 ||
    !networksWithin(caller.key.allowedCidrs, key.allowedCidrs) ||
    outlives(key.expireTime, caller.key.expireTime)
  );
}

/** Whether a life that ends at `one` is longer than one that ends at `other`; undefined: never ends. */
export function outlives(one: number | undefined, other: number | undefined): boolean {
  return other !== undefined && (one === undefined || one > other);
}

/** A call that changes something: who makes it and from where, and what else goes into its audit event. */
export interface CallOrigin {
  readonly caller: Caller;
  /** Address that the call came from. */
  readonly clientIp?: string;
  readonly onBehalfOf?: string;
  readonly requestId: string;
}

export function actorOf(origin: CallOrigin): Actor {
  return {
    id: origin.caller.key.id,
    requestId: origin.requestId,
    ...(origin.onBehalfOf === undefined ? {} : { onBehalfOf: origin.onBehalfOf }),
  };
}
