/** Revoking keys. */

import type { Changed, Confirmation } from '../coherence/changes.ts';
import { markRevoked } from '../coherence/marking.ts';
import { actorOf, type CallOrigin, holdsMore, type Reach, reach, reaches } from '../domain/caller.ts';
import type { Actor } from '../domain/event.ts';
import { denied, notFound } from '../domain/failure.ts';
import type { Key } from '../domain/key.ts';
import { RESERVED_KEYSPACE } from '../domain/permissions.ts';
import { generationEnd } from '../domain/standing.ts';
import { bareToken } from '../domain/token.ts';
import { judge } from '../domain/verdict.ts';
import { ownerRecordOf } from '../verification/standing.ts';
import { descendantsOf, type LiveDescendants, liveDescendants } from './family.ts';
import { gone, type Parts, reachKey } from './parts.ts';

/** The key to revoke: by its id, or by its secret, which whoever has it may turn in. */
export type RevokeTarget = { readonly id: string } | { readonly secret: string };

export interface RevokeOptions {
  readonly reason: string;
  /** Also the keys that it made by self-service, those that they made, and so on. */
  readonly includeDescendants: boolean;
}

export interface RevokedKey extends Changed<Key> {
  readonly descendants: LiveDescendants;
}

const SHOWN_DESCENDANTS = 100;
/** Each further one takes another rotation that is just under way; what is left then is told. */
const MAX_SEARCHES = 5;

/**
 * Revokes a key for good. Revoking again is fine and changes nothing.
 *
 * @throws Failure `not-found`, `denied`, `conflict`, `unavailable`: then the key, and some of its descendants, may be
 *   revoked; repeat it.
 */
export async function revokeKey(
  parts: Parts,
  origin: CallOrigin,
  target: RevokeTarget,
  { reason, includeDescendants }: RevokeOptions,
): Promise<RevokedKey> {
  const { id, within, family } =
    'id' in target ? await revocable(parts, origin, target.id) : await opened(parts, origin, target.secret);
  if (includeDescendants && !family) {
    throw denied(
      'PERMISSION_MISSING',
      'include_descendants: the secret of a key that works no more may not revoke the keys that it made',
    );
  }
  const actor = actorOf(origin);
  // Where the other replicas cannot be reached all of them are revoked none the less: the call could be repeated for long.
  let { record, propagation, unconfirmed } = await revokeOutright(parts, id, actor, reason, 'tried');
  const mayShow = (key: Key) => within !== undefined && reaches(within, key);
  let descendants: LiveDescendants;
  let searches = 0;
  do {
    if (includeDescendants) {
      // Each before its children are asked for: from then on it makes none that lives.
      for await (const descendant of descendantsOf(parts, id)) {
        const confirmation = unconfirmed === undefined ? 'tried' : 'unneeded';
        const revoked = await revokeOutright(parts, descendant.id, actor, reason, confirmation);
        ({ propagation } = revoked);
        unconfirmed ??= revoked.unconfirmed;
      }
    }
    descendants = await liveDescendants(parts, id, SHOWN_DESCENDANTS, mayShow);
    // A rotation that began before may move a key past the search, and be undone behind it.
  } while (includeDescendants && descendants.size > 0 && ++searches < MAX_SEARCHES);
  if (unconfirmed !== undefined) throw unconfirmed;
  return { record, propagation, descendants };
}

interface Revocable {
  readonly id: string;
  /** What of its keyspace the caller may be shown; undefined: nothing. */
  readonly within: Reach | undefined;
  /** Whether the keys that it made may be revoked with it. */
  readonly family: boolean;
}

/** A key that the caller may revoke. */
async function revocable(parts: Parts, { caller }: CallOrigin, id: string): Promise<Revocable> {
  const { key, within } = await reachKey(parts, caller, 'keys:revoke', id);
  if (key.keyspace === RESERVED_KEYSPACE && holdsMore(caller, key)) {
    throw denied(
      'HOLDS_MORE_THAN_CALLER',
      'the key holds more than the calling key, which may not revoke it',
    );
  }
  return { id, within, family: true };
}

/**
 * Who has the secret of a key could do worse with it than turn it in, so nothing else is asked. What the key made is
 * another matter: an old secret, dead for long, must not end keys that work, nor show them.
 */
async function opened(parts: Parts, { caller }: CallOrigin, secret: string): Promise<Revocable> {
  const match = await parts.verifier.match(bareToken(secret), true);
  if (match === undefined) throw notFound('a key with this secret');
  const { key, keyspace } = match;
  const own = reach(caller, 'keys:revoke', keyspace);
  if (own !== undefined && reaches(own, key)) return { id: key.id, within: own, family: true };
  // Its addresses say where it may be used, not where it may be turned in.
  const works = judge({ ...key, allowedCidrs: [] }, { permissions: [] }, parts.now()).status === 'valid';
  return { id: key.id, within: works ? reach(match, 'keys:revoke', keyspace) : undefined, family: works };
}

/** Revokes without asking who may. A key whose generation has ended is revoked already, and is only marked as such. */
export async function revokeOutright(
  parts: Parts,
  id: string,
  actor: Actor,
  reason: string,
  confirmation: Confirmation,
): Promise<Changed<Key>> {
  const key = await parts.store.getKey(id);
  const keyspace = key && (await parts.verifier.directory(true)).get(key.keyspace);
  if (key === undefined || keyspace === undefined) throw gone(id);
  const end = generationEnd(key, keyspace, await ownerRecordOf(parts.store, keyspace.id, key));
  if (end !== undefined) await markRevoked(parts.changes, id, end);

  const revoked = await parts.changes.changeKey(
    id,
    (key) =>
      key.revokeTime === undefined
        ? {
            ...key,
            revokeTime: Math.max(parts.now(), key.createTime),
            ...(reason === '' ? {} : { revokeReason: reason }),
          }
        : key,
    {
      action: 'key.revoke',
      actor,
      changedFields: () => ['revoke_time', ...(reason === '' ? [] : ['revoke_reason'])],
      confirmation,
      first: true,
    },
  );
  if (revoked === undefined) throw gone(id);
  return revoked;
}
