/** Giving a key a new secret. */

import { type Changed, revisionMismatch } from '../coherence/changes.ts';
import { networksWithin } from '../domain/address.ts';
import { actorOf, type Caller, type CallOrigin, holdsMore, outlives, type Reach } from '../domain/caller.ts';
import { denied, Failure } from '../domain/failure.ts';
import { isExpired, type Key, secretAge, type Usage } from '../domain/key.ts';
import type { Keyspace } from '../domain/keyspace.ts';
import { optional } from '../domain/optional.ts';
import { RESERVED_KEYSPACE } from '../domain/permissions.ts';
import type { RequestRecord } from '../domain/request.ts';
import { isBeyond, type StandingKey, standing } from '../domain/standing.ts';
import { mintToken } from '../domain/token.ts';
import { ownerRecordOf } from '../verification/standing.ts';
import { newGeneration } from './create.ts';
import { isAncestor } from './family.ts';
import { judgedAgain, notValidAnyMore, rightsChanged } from './judged-again.ts';
import { gone, type Parts, type ReachedKey, reachKey } from './parts.ts';
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
  /** Of the key, as it was before; absent: to be read. */
  readonly usage?: Usage | undefined;
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
  // The key before the note: then a rotation under this request_id that the note does not tell of is one that the key
  // shows, or comes later, and that one the write below does not get past.
  const target = await reachKey(parts, origin.caller, 'keys:rotate', id);
  const { key: before, keyspace, within } = target;
  const { overlap, expectedRevision, requestId } = options;
  const once =
    requestId === ''
      ? undefined
      : await repeatable(parts, origin, 'RotateKey', requestId, [id, overlap, expectedRevision ?? null]);
  const known = await once?.known();
  if (known !== undefined && wasDone(known, before)) return replayed(parts, before);

  checkRotation(origin.caller, within, keyspace, target.standing, parts.now());
  if (!parts.changes.reachable) throw unreachable();
  // Read now: once the key is rotated, nothing must keep its new secret from the caller.
  const usage = (await parts.store.readUsage([id])).get(id);
  const request = await once?.claim(id);
  const minted = await mintSecret(parts, keyspace, before);
  const written = await writeRotation(parts, origin, target, options, { ...minted, request });
  if (written.token === undefined) return written;
  try {
    if (written.unconfirmed !== undefined) throw unreachable(written.unconfirmed);
    await checkAgain(parts, origin, before, written.record);
  } catch (error) {
    await undo(parts, origin, before, written.record);
    throw error;
  }
  return { ...written, usage };
}

/**
 * A rotation that is not confirmed is none: it would leave the caller without the new secret, and with an old one that may
 * be dead.
 */
function unreachable(cause?: unknown): Failure {
  return new Failure(
    'unavailable',
    'REPLICAS_UNREACHABLE',
    'the other replicas cannot be reached, so the old secret could not be taken back everywhere; nothing was changed',
    { retryAfterMs: 1000, ...optional('cause', cause) },
  );
}

/** What the key itself shows, or else what was noted before a later rotation covered it up. */
function wasDone({ id, expireTime, done }: RequestRecord, { rotationRequest }: Key): boolean {
  return done === true || (rotationRequest?.id === id && rotationRequest.expireTime === expireTime);
}

async function replayed(parts: Parts, key: Key): Promise<RotatedKey> {
  return { record: key, propagation: await parts.changes.confirmKey(key), token: undefined };
}

interface NewSecret {
  readonly token: string;
  readonly generation: string;
  readonly request: RequestRecord | undefined;
}

/** Makes the key accept the new secret, or finds that another call with this request_id was first. */
async function writeRotation(
  parts: Parts,
  origin: CallOrigin,
  { key: before, keyspace, within }: ReachedKey,
  { overlap, expectedRevision }: RotateOptions,
  { token, generation, request }: NewSecret,
): Promise<RotatedKey> {
  const owner = await ownerRecordOf(parts.store, keyspace.id, before);
  const parentKeyId = await parentAfter(parts, origin.caller, within, before);
  // The key is about to forget the request that gave it the secret of now.
  if (before.rotationRequest !== undefined) await parts.store.finishRequest(before.rotationRequest);
  const edit = (key: Key): Key => {
    // Of two rotations at once one wins: the other's caller would be handed a secret that is dead, or soon will be.
    if (key.generation !== before.generation) throw revisionMismatch('another rotation of the key was first');
    const now = parts.now();
    checkShown(origin.caller, key, now);
    checkRotation(origin.caller, within, keyspace, standing(key, keyspace, owner), now);
    const { previous: _, parentKeyId: __, rotationRequest: ___, ...rest } = key;
    const overlapEnd = Math.min(now + overlap, key.expireTime ?? Number.POSITIVE_INFINITY);
    return {
      ...rest,
      generation,
      displayPrefix: token.slice(0, keyspace.displayLength),
      ...optional('parentKeyId', parentKeyId),
      ...optional('rotationRequest', request && { id: request.id, expireTime: request.expireTime }),
      ...(overlap === 0 ? {} : { previous: { generation: key.generation, expireTime: overlapEnd } }),
    };
  };
  try {
    const rotated = await parts.changes.changeKey(before.id, edit, {
      action: 'key.rotate',
      actor: actorOf(origin),
      changedFields: () => ['secret', 'previous_secret'],
      confirmation: 'tried',
      ...optional('expectedRevision', expectedRevision),
    });
    if (rotated === undefined) throw gone(before.id);
    return { ...rotated, token };
  } catch (error) {
    const overtaken = error instanceof Failure && error.kind === 'conflict' && request !== undefined;
    const done = overtaken ? await doneMeanwhile(parts, request) : undefined;
    if (done === undefined) throw error;
    return replayed(parts, done);
  }
}

/** The key, where the request was done. Read before the note, as in rotateKey. */
async function doneMeanwhile({ store }: Parts, request: RequestRecord): Promise<Key | undefined> {
  const key = await store.getKey(request.keyId);
  const noted = await store.readRequest(request.id);
  return key !== undefined && wasDone(noted ?? request, key) ? key : undefined;
}

/**
 * Who rotates its own key must still open it at the moment of the write: a secret that was replaced, or whose overlap was
 * ended, since the caller was let in would else come back as the new one. Later that cannot be told any more, since the
 * rotation itself replaces what the caller showed.
 */
function checkShown(caller: Caller, key: Key, now: number): void {
  if (key.id !== caller.key.id || secretAge(key, caller.generation, now) !== undefined) return;
  throw notValidAnyMore();
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
      ? isBeyondHolder(caller, keyspace, key)
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

/** A secret more for the key. It opens nothing until the key accepts its generation. */
async function mintSecret(
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

/** Key, caller, policies and family as they are now. */
async function checkAgain(parts: Parts, origin: CallOrigin, before: Key, rotated: Key): Promise<void> {
  const { caller, keyspace } = await judgedAgain(parts, origin, rotated.keyspace, rotated.generation);
  const { standing: now, within } = await reachKey(parts, caller, 'keys:rotate', rotated.id);
  checkRotation(caller, within, keyspace, now, parts.now());
  if (rotated.parentKeyId === undefined || rotated.parentKeyId === before.parentKeyId) return;
  // Two keys that rotated each other at the same moment.
  const parent = await parts.store.getKey(rotated.parentKeyId);
  if (parent !== undefined && (await isAncestor(parts, rotated.id, parent))) throw rightsChanged();
}

/**
 * Puts the secrets of before back. Where somebody rotated the key meanwhile, it is as if that one had replaced them. Where
 * the overlap was cut meanwhile, the rotation stands: a secret that was said to be dead, or soon to be, must not come back.
 */
async function undo(parts: Parts, origin: CallOrigin, before: Key, rotated: Key): Promise<void> {
  await parts.changes.changeKey(
    before.id,
    (key) => {
      if (key.previous?.generation === rotated.generation) {
        return { ...key, previous: { ...key.previous, generation: before.generation } };
      }
      const { previous, parentKeyId: _, rotationRequest: __, ...rest } = key;
      const cut = previous?.expireTime !== rotated.previous?.expireTime;
      if (key.generation !== rotated.generation || cut) return key;
      // Another one than was replaced: that one came by a rotation which was undone as well, and nobody has it.
      const generation = previous?.generation ?? before.generation;
      return {
        ...rest,
        generation,
        displayPrefix: before.displayPrefix,
        ...optional('previous', generation === before.generation ? before.previous : undefined),
        ...optional('parentKeyId', before.parentKeyId),
        ...optional('rotationRequest', before.rotationRequest),
      };
    },
    {
      action: 'key.rotate',
      actor: actorOf(origin),
      changedFields: () => ['secret', 'previous_secret'],
      confirmation: 'tried',
      // It takes back a secret that nobody was told. Refused, it would leave the key without one that anybody has.
      first: true,
    },
  );
}
