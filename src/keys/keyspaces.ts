/** Making, reading and changing keyspaces. */

import { isDeepStrictEqual } from 'node:util';
import type { Changed } from '../coherence/changes.ts';
import { changeRegistry } from '../coherence/registry.ts';
import { actorOf, type Caller, type CallOrigin, isManager, outOfReach, reach } from '../domain/caller.ts';
import type { Actor } from '../domain/event.ts';
import { denied, Failure, invalidFields, notFound, type Violation } from '../domain/failure.ts';
import type { Generations } from '../domain/generation.ts';
import { collidingKeyspace, type Keyspace, keyspaceViolations } from '../domain/keyspace.ts';
import { manages, managesSomewhere, RESERVED_KEYSPACE } from '../domain/permissions.ts';
import { makePageToken, readPageToken } from './page-token.ts';
import { type Parts, reachKeyspace } from './parts.ts';
import { checkPermissions, refuseBeyondCaller } from './plan.ts';

/** The fields of a keyspace that a client decides. */
export type KeyspaceDraft = Omit<
  Keyspace,
  'createTime' | 'updateTime' | 'revision' | 'pending' | 'olderAnswersUntil' | keyof Generations
>;

const READERS = ['keyspaces:read', 'keyspaces:admin'] as const;

/** Fields that UpdateKeyspace may change, under their names in the contract. */
export const MUTABLE_FIELDS = {
  displayName: 'display_name',
  displayLength: 'display_length',
  defaultTtl: 'default_ttl',
  maxTtl: 'max_ttl',
  cacheTtl: 'cache_ttl',
  negativeTtl: 'negative_ttl',
  clientCacheTtl: 'client_cache_ttl',
  keyDefaults: 'key_defaults',
  selfServiceCallers: 'self_service_callers',
  selfServicePermission: 'self_service_permission',
  selfServiceMayOutlive: 'self_service_may_outlive',
  denyBodies: 'deny_bodies',
  onPartition: 'on_partition',
  partitionBound: 'partition_bound',
} as const satisfies Partial<Record<keyof KeyspaceDraft, string>>;

/**
 * Makes a keyspace.
 *
 * @throws Failure `invalid` for a broken rule or a prefix that collides, `already-exists`, `precondition` for
 *   HMAC_SHA256 without a pepper, `denied`, `unavailable`.
 */
export async function createKeyspace(
  parts: Parts,
  origin: CallOrigin,
  draft: KeyspaceDraft,
): Promise<Keyspace> {
  if (!manages(origin.caller.key.permissions, 'keyspaces:admin', draft.id) || !isManager(origin.caller)) {
    throw denied('PERMISSION_MISSING', `this call needs keyspaces:admin for keyspace "${draft.id}"`);
  }
  const now = parts.now();
  const keyspace: Keyspace = { ...draft, createTime: now, updateTime: now, revision: 1, pending: [] };
  check(keyspace);
  if (keyspace.hash === 'hmac-sha256' && !parts.secrets.hasPepper) {
    throw new Failure(
      'precondition',
      'NO_PEPPER',
      'keyspace.hash: HMAC_SHA256 needs the setting GATEHOUSE_PEPPERS',
    );
  }
  await addKeyspace(parts, keyspace, actorOf(origin));
  return keyspace;
}

/** Reserves the prefix, then adds the keyspace. */
export async function addKeyspace(
  parts: Pick<Parts, 'store' | 'changes'>,
  keyspace: Keyspace,
  actor: Actor,
): Promise<void> {
  const existing = (await parts.store.listKeyspaces()).some((one) => one.id === keyspace.id);
  if (existing) throw taken(keyspace.id);
  await reservePrefix(parts, keyspace);
  if (!(await parts.changes.addKeyspace(keyspace, actor))) throw taken(keyspace.id);
}

async function reservePrefix({ store }: Pick<Parts, 'store'>, { id, prefix }: Keyspace): Promise<void> {
  await changeRegistry(store, (registry) => {
    if (collidingKeyspace(registry, id, prefix) !== undefined) {
      throw new Failure(
        'already-exists',
        'PREFIX_CONFLICT',
        "keyspace.prefix: must neither begin, nor begin with, another keyspace's prefix",
      );
    }
    return { prefixes: { ...registry.prefixes, [prefix]: id } };
  });
}

/** One keyspace. @throws Failure `not-found`, `denied`, `unavailable`. */
export async function getKeyspace(parts: Parts, caller: Caller, id: string): Promise<Keyspace> {
  const keyspace = (await parts.verifier.directory(true)).get(id);
  if (keyspace === undefined || !mayRead(caller, keyspace)) {
    const held = READERS.find((one) => isManager(caller) && managesSomewhere(caller.key.permissions, one));
    throw outOfReach(caller, held ?? 'keyspaces:read', `keyspace "${id}"`);
  }
  return keyspace;
}

export interface KeyspacePage {
  readonly keyspaces: readonly Keyspace[];
  /** Empty: this was the last page. */
  readonly nextPageToken: string;
}

/**
 * The keyspaces that the caller may read, by id.
 *
 * @throws Failure `invalid` for a page token of another listing or caller, `denied`, `unavailable`.
 */
export async function listKeyspaces(
  parts: Parts,
  caller: Caller,
  { pageSize, pageToken }: { readonly pageSize: number; readonly pageToken: string },
): Promise<KeyspacePage> {
  if (!isManager(caller) || !READERS.some((one) => managesSomewhere(caller.key.permissions, one))) {
    throw outOfReach(caller, 'keyspaces:read', 'keyspaces');
  }
  const { macKey } = await parts.store.readRegistry();
  const listing = ['keyspaces', caller.key.id];
  const after = pageToken === '' ? '' : readPageToken<string>(macKey, listing, pageToken);
  const readable = (await parts.store.listKeyspaces()).filter(
    (one) => one.id > after && mayRead(caller, one),
  );
  const keyspaces = readable.slice(0, pageSize);
  const last = keyspaces.at(-1);
  const more = last !== undefined && keyspaces.length < readable.length;
  return { keyspaces, nextPageToken: more ? makePageToken(macKey, listing, last.id) : '' };
}

/** Who administers a keyspace may read it. */
function mayRead(caller: Caller, keyspace: Keyspace): boolean {
  return READERS.some((permission) => reach(caller, permission, keyspace) !== undefined);
}

/**
 * Changes a keyspace.
 *
 * @param edit gives the keyspace with other values in fields that may change (MUTABLE_FIELDS).
 * @throws Failure `invalid`, `not-found`, `denied`, `conflict`, `unavailable`.
 */
export async function updateKeyspace(
  parts: Parts,
  origin: CallOrigin,
  id: string,
  edit: (keyspace: Keyspace) => Keyspace,
  expectedRevision: number | undefined,
): Promise<Changed<Keyspace>> {
  await reachKeyspace(parts, origin.caller, 'keyspaces:admin', id);
  const changed = await parts.changes.changeKeyspace(
    id,
    (before) => {
      const after = edit(before);
      check(after);
      // A management key that names no permission gets these, so they are handed on as permissions are.
      if (id === RESERVED_KEYSPACE) {
        refuseBeyondCaller(origin.caller, after.keyDefaults.permissions, 'keyspace.key_defaults.permissions');
      }
      return isDeepStrictEqual(before, after) ? before : after;
    },
    {
      action: 'keyspace.update',
      actor: actorOf(origin),
      changedFields,
      ...(expectedRevision === undefined ? {} : { expectedRevision }),
    },
  );
  if (changed === undefined) throw notFound(`keyspace "${id}"`);
  return changed;
}

function check(keyspace: Keyspace): void {
  const violations: Violation[] = keyspaceViolations(keyspace);
  if (keyspace.id === RESERVED_KEYSPACE && keyspace.selfServiceCallers.length > 0) {
    violations.push({
      field: 'keyspace.self_service_callers',
      description: 'the reserved keyspace has no self-service',
    });
  }
  if (violations.length > 0) throw invalidFields(violations);
  checkPermissions(keyspace.id, keyspace.keyDefaults.permissions, 'keyspace.key_defaults.permissions');
}

function changedFields(before: Keyspace, after: Keyspace): string[] {
  return (Object.keys(MUTABLE_FIELDS) as (keyof typeof MUTABLE_FIELDS)[])
    .filter((field) => !isDeepStrictEqual(before[field], after[field]))
    .map((field) => MUTABLE_FIELDS[field]);
}

function taken(id: string): Failure {
  return new Failure('already-exists', 'KEYSPACE_EXISTS', `keyspace "${id}" exists already`);
}
