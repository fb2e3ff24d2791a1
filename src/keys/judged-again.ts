/**
 * The caller once more, after a write: who was revoked or narrowed while its call was under way must get nothing out of
 * what the call made.
 */

import type { Caller, CallOrigin } from '../domain/caller.ts';
import { Failure } from '../domain/failure.ts';
import { secretAge } from '../domain/key.ts';
import type { Keyspace } from '../domain/keyspace.ts';
import { optional } from '../domain/optional.ts';
import { judge } from '../domain/verdict.ts';
import { standingOf } from '../verification/standing.ts';
import type { Parts } from './parts.ts';

/**
 * The caller as it is now, and the keyspace that it acted in.
 *
 * @param rotated the caller's own new generation, where it has just rotated itself.
 * @throws Failure `unauthenticated` where it would not be let in any more, `unavailable` where that cannot be told.
 */
export async function judgedAgain(
  parts: Parts,
  { caller: before, clientIp }: CallOrigin,
  keyspaceId: string,
  rotated?: string,
): Promise<{ readonly caller: Caller; readonly keyspace: Keyspace }> {
  const now = parts.now();
  const directory = await parts.verifier.directory(true);
  const stored = await parts.store.getKey(before.key.id);
  const own = directory.get(before.keyspace.id);
  const key =
    stored === undefined || own === undefined ? undefined : await standingOf(parts.store, stored, own);
  const keyspace = directory.get(keyspaceId);
  const demands = { permissions: [], ...optional('clientIp', clientIp) };
  const alive =
    key !== undefined &&
    (key.generation === rotated || secretAge(key, before.generation, now) !== undefined) &&
    judge(key, demands, now).status === 'valid';
  if (!alive || own === undefined || keyspace === undefined) {
    throw notValidAnyMore();
  }
  return { caller: { key, keyspace: own, generation: before.generation }, keyspace };
}

/** The refusal where the caller would not be let in any more. */
export function notValidAnyMore(): Failure {
  return new Failure('unauthenticated', 'CREDENTIALS_INVALID', 'the calling key is not valid any more');
}

/** The refusal where the caller may still call, but not do again what it did. */
export function rightsChanged(): Failure {
  return new Failure(
    'conflict',
    'RIGHTS_CHANGED',
    'what the calling key may hand on changed meanwhile; try again',
  );
}
