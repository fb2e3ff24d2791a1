/** Giving a key a new secret. */

import { type Changed, revisionMismatch } from '../coherence/changes.ts';
import { networksWithin } from '../domain/address.ts';
import { actorOf, type Caller, type CallOrigin, holdsMore, outlives, type Reach } from '../domain/caller.ts';
import { denied, Failure } from '../domain/failure.ts';
import { isExpired, type Key } from '../domain/key.ts';
import type { Keyspace } from '../domain/keyspace.ts';
import { optional } from '../domain/optional.ts';
import { RESERVED_KEYSPACE } from '../domain/permissions.ts';
import type { RequestRecord } from '../domain/request.ts';
import { isBeyond, type StandingKey, standing } from '../domain/standing.ts';
import { mintToken } from '../domain/token.ts';
import { ownerRecordOf, standingOf } from '../verification/standing.ts';
import { newGeneration } from './create.ts';
import { isAncestor } from './family.ts';
import { judgedAgain, rightsChanged } from './judged-again.ts';
import { gone, type Parts, reachKey } from './parts.ts';
import { repeatable } from './repeat.ts';

export interface RotateOptions {
  /** Milliseconds that the old secret goes on working, never past the key's expiry; 0: it stops at once. */
  readonly overlap: number;
  readonly expectedRevision: number | undefined;
  /** Makes the call safe to repeat; empty: it is not. */
  readonly requestId: string;
}

export interface RotatedKey extends Changed<Key> {
  /** The new secret's, shown once and kept nowhere. Undefined: a call before had rotated the key, and nothing was done. */
  readonly token: string | undefined;
}

// As in create.ts: a lookup that is taken means 95 random bits met twice.
const MAX_ATTEMPTS = 3;

/**
 * Rotates a key: id, expiry and all else stay, the old secret works until the overlap has passed, an older one no more.
 * The caller is judged once more after the write: where it was revoked or narrowed meanwhile, the rotation is undone and
 * its token not returned.
 *
 * @throws Failure `not-found`, `denied` where the key holds more than a caller that would get its secret, `precondition`
 *   for a revoked or expired key, `conflict` where another rotation won or the revision moved on, `already-exists` for a
 *   request_id with other content, `unauthenticated`, `exhausted`, `unavailable`.
 */
export async function rotateKey(
  parts: Parts,
  origin: CallOrigin,
  id: string,
  options: RotateOptions,
): Promise<RotatedKey> {
  const reached = await reachKey(parts, origin.caller, 'keys:rotate', id);
  const { key: before, keyspace, within } = reached;
  const { overlap, expectedRevision, requestId } = options;
  const once =
    requestId === ''
      ? undefined
      : await repeatable(parts, origin, 'RotateKey', requestId, [id, overlap, expectedRevision ?? null]);
  const known = await once?.known();
  if (known !== undefined && wasDone(known, before)) return replayed(parts, before);

  checkRotation(origin.caller, within, keyspace, reached.standing, parts.now());
  const claim = await once?.claim({ keyId: id, base: before.generation });
  try {
    return await rotate(parts, origin, { before, keyspace, within }, options, claim);
  } catch (error) {
    const now = claim === undefined ? undefined : await parts.store.getKey(id);
    // Another call with this request_id was first.
    if (claim !== undefined && now !== undefined && wasDone(claim, now)) return replayed(parts, now);
    if (!(error instanceof Failure) || error.kind !== 'unavailable') await once?.release();
    throw error;
  }
}

/** What the key itself shows, or else what was noted before a later rotation covered it up. */
function wasDone(request: RequestRecord, key: Key): boolean {
  return request.done === true || key.rotationRequest === request.id;
}

function replayed(parts: Parts, key: Key): RotatedKey {
  return { record: key, propagation: parts.changes.settled(), token: undefined };
}

interface Target {
  readonly before: Key;
  readonly keyspace: Keyspace;
  readonly within: Reach;
}

async function rotate(
  parts: Parts,
  origin: CallOrigin,
  { before, keyspace, within }: Target,
  { overlap, expectedRevision }: RotateOptions,
  request: RequestRecord | undefined,
): Promise<RotatedKey> {
  const { id } = before;
  const base = request?.base ?? before.generation;
  const owner = await ownerRecordOf(parts.store, keyspace.id, before);
  const parentKeyId = await parentAfter(parts, origin.caller, within, before);
  // The key is about to forget the request that gave it the secret of now.
  if (before.rotationRequest !== undefined) await parts.store.finishRequest(before.rotationRequest);
  // The secret first: it opens nothing until the key accepts its generation.
  const { token, generation } = await addSecret(parts, keyspace, before);

  const rotated = await parts.changes.changeKey(
    id,
    (key) => {
      // Of two rotations at once one wins: the other's caller would be handed a secret that is dead, or soon will be.
      if (key.generation !== base) throw revisionMismatch('another rotation of the key was first');
      const now = parts.now();
      checkRotation(origin.caller, within, keyspace, standing(key, keyspace, owner), now);
      const { previous: _, parentKeyId: __, rotationRequest: ___, ...rest } = key;
      const overlapEnd = Math.min(now + overlap, key.expireTime ?? Number.POSITIVE_INFINITY);
      return {
        ...rest,
        generation,
        displayPrefix: token.slice(0, keyspace.displayLength),
        ...optional('parentKeyId', parentKeyId),
        ...optional('rotationRequest', request?.id),
        ...(overlap === 0 ? {} : { previous: { generation: key.generation, expireTime: overlapEnd } }),
      };
    },
    {
      action: 'key.rotate',
      actor: actorOf(origin),
      changedFields: () => ['secret', 'previous_secret'],
      ...(expectedRevision === undefined ? {} : { expectedRevision }),
    },
  );
  if (rotated === undefined) throw gone(id);
  try {
    await checkAgain(parts, origin, rotated.record);
  } catch (error) {
    await undo(parts, origin, before, generation);
    throw error;
  }
  return { ...rotated, token };
}

/** Whether the caller may be given a secret of the key, and the key can still work. @throws Failure. */
function checkRotation(
  caller: Caller,
  within: Reach,
  keyspace: Keyspace,
  key: StandingKey,
  now: number,
): void {
  if (key.revokeTime !== undefined) {
    throw new Failure('precondition', 'KEY_REVOKED', 'the key is revoked, which is final');
  }
  if (isExpired(key, now)) throw new Failure('precondition', 'KEY_EXPIRED', 'the key has expired');
  // Rotating hands the caller a working secret of the key, so the key is held to what the caller could make.
  const more =
    within.scope === 'owner'
      ? key.id !== caller.key.id && isBeyondHolder(caller, keyspace, key)
      : key.keyspace === RESERVED_KEYSPACE && holdsMore(caller, key);
  if (more) throw denied('HOLDS_MORE_THAN_CALLER', 'the key holds more than the calling key');
}

function isBeyondHolder(caller: Caller, keyspace: Keyspace, key: StandingKey): boolean {
  return (
    isBeyond(caller.key, key) ||
    !networksWithin(caller.key.allowedCidrs, key.allowedCidrs) ||
    (!keyspace.selfServiceMayOutlive && outlives(key.expireTime, caller.key.expireTime))
  );
}

/**
 * Who made the key, or rotated it last by self-service: that one knows its secret, so it goes when that one goes. A key
 * stays with its maker where its own descendants rotate it, or two of them could take each other out of the family.
 */
async function parentAfter(
  parts: Parts,
  caller: Caller,
  within: Reach,
  key: Key,
): Promise<string | undefined> {
  if (within.scope !== 'owner' || (await isAncestor(parts, key.id, caller.key))) return key.parentKeyId;
  return caller.key.id;
}

async function addSecret(
  parts: Parts,
  keyspace: Keyspace,
  key: Key,
): Promise<{ readonly token: string; readonly generation: string }> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const token = mintToken(keyspace);
    const generation = newGeneration();
    const sealed = await parts.secrets.seal(keyspace, token);
    const secret = { ...sealed, keyspace: keyspace.id, keyId: key.id, generation };
    if (await parts.store.insertSecret(secret)) return { token, generation };
  }
  throw new Error('random lookups kept colliding: the random source is broken');
}

/** Caller, policies and family as they are now. */
async function checkAgain(parts: Parts, origin: CallOrigin, rotated: Key): Promise<void> {
  const { caller, keyspace } = await judgedAgain(parts, origin, rotated.keyspace, rotated.generation);
  const { within } = await reachKey(parts, caller, 'keys:rotate', rotated.id);
  checkRotation(caller, within, keyspace, await standingOf(parts.store, rotated, keyspace), parts.now());
  // Two keys that rotated each other at the same moment.
  const parent =
    rotated.parentKeyId === undefined ? undefined : await parts.store.getKey(rotated.parentKeyId);
  if (parent !== undefined && (await isAncestor(parts, rotated.id, parent))) throw rightsChanged();
}

/** Puts the secrets of before back, unless somebody rotated the key meanwhile: then only the new one's overlap ends. */
async function undo(parts: Parts, origin: CallOrigin, before: Key, generation: string): Promise<void> {
  await parts.changes.changeKey(
    before.id,
    (key) => {
      if (key.generation !== generation && key.previous?.generation !== generation) return key;
      const { previous: _, parentKeyId: __, rotationRequest, ...rest } = key;
      const { displayPrefix, previous, parentKeyId } = before;
      if (key.generation !== generation) {
        return {
          ...rest,
          ...optional('parentKeyId', key.parentKeyId),
          ...optional('rotationRequest', rotationRequest),
        };
      }
      return {
        ...rest,
        generation: before.generation,
        displayPrefix,
        ...optional('previous', previous),
        ...optional('parentKeyId', parentKeyId),
        ...optional('rotationRequest', before.rotationRequest),
      };
    },
    { action: 'key.rotate', actor: actorOf(origin), changedFields: () => ['secret', 'previous_secret'] },
  );
}
