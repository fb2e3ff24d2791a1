/** Revoking a key. */

import type { Changed } from '../coherence/changes.ts';
import { actorOf, type CallOrigin, holdsMore } from '../domain/caller.ts';
import type { Actor } from '../domain/event.ts';
import { denied } from '../domain/failure.ts';
import type { Key } from '../domain/key.ts';
import { RESERVED_KEYSPACE } from '../domain/permissions.ts';
import { gone, type Parts, reachKey } from './parts.ts';

/**
 * Revokes a key for good. Revoking again is fine and changes nothing.
 *
 * @throws Failure `not-found`, `denied`, `conflict`, `unavailable`.
 */
export async function revokeKey(
  parts: Parts,
  origin: CallOrigin,
  id: string,
  reason: string,
): Promise<Changed<Key>> {
  const { key } = await reachKey(parts, origin.caller, 'keys:revoke', id);
  if (key.keyspace === RESERVED_KEYSPACE && holdsMore(origin.caller, key)) {
    throw denied(
      'HOLDS_MORE_THAN_CALLER',
      'the key holds more than the calling key, which may not revoke it',
    );
  }
  return revokeOutright(parts, id, actorOf(origin), reason);
}

/** Revokes without asking who may. */
export async function revokeOutright(
  parts: Parts,
  id: string,
  actor: Actor,
  reason: string,
): Promise<Changed<Key>> {
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
    },
  );
  if (revoked === undefined) throw gone(id);
  return revoked;
}
