/** Making a key. */

import { isDeepStrictEqual } from 'node:util';
import { actorOf, type CallOrigin, type Reach, reaches } from '../domain/caller.ts';
import type { Actor } from '../domain/event.ts';
import { notFound } from '../domain/failure.ts';
import { generationOf } from '../domain/generation.ts';
import type { Key } from '../domain/key.ts';
import type { Keyspace } from '../domain/keyspace.ts';
import { optional } from '../domain/optional.ts';
import { mintToken, randomText } from '../domain/token.ts';
import { ownerRecordOf } from '../verification/standing.ts';
import { judgedAgain, rightsChanged } from './judged-again.ts';
import { type Parts, reachKeyspace } from './parts.ts';
import { type KeyPlan, type KeyRequest, planKey } from './plan.ts';
import { repeatable } from './repeat.ts';
import { revokeOutright } from './revoke.ts';

export interface CreatedKey {
  readonly key: Key;
  /** Shown once and kept nowhere. Undefined: a call before had made the key, and nothing was done now. */
  readonly token: string | undefined;
}

// A lookup that is taken means 95 random bits met twice, so a second try is already one more than needed.
const MAX_ATTEMPTS = 3;

/**
 * Makes a key. The caller is judged once more after the write: where it was revoked or narrowed meanwhile, the key is
 * dead and its token is not returned.
 *
 * @param requestId makes the call safe to repeat; empty: it is not.
 * @throws Failure `invalid`, `denied`, `not-found`, `already-exists` for a request_id with other content,
 *   `unauthenticated`, `exhausted`, `unavailable`.
 */
export async function createKey(
  parts: Parts,
  origin: CallOrigin,
  keyspaceId: string,
  request: KeyRequest,
  requestId = '',
): Promise<CreatedKey> {
  const { keyspace, within } = await reachKeyspace(parts, origin.caller, 'keys:create', keyspaceId);
  const once =
    requestId === ''
      ? undefined
      : await repeatable(parts, origin, 'CreateKey', requestId, [keyspaceId, request]);
  const known = await once?.known();
  const before = known === undefined ? undefined : await parts.store.getKey(known.keyId);
  if (before !== undefined) return replayed(within, before);

  const plan = planKey(origin.caller, keyspace, request, parts.now());
  const claim = await once?.claim(newKeyId());
  const generations = await generationsOf(parts, keyspace, plan);
  const created = await mintKey(parts, origin, keyspace, { ...plan, ...generations }, claim?.keyId);
  if (created.token === undefined) return replayed(within, created.key);
  try {
    await planAgain(parts, origin, keyspaceId, request, plan, generations);
  } catch (error) {
    await revokeOutright(
      parts,
      created.key.id,
      actorOf(origin),
      'its maker could not be shown to have the right to make it any more',
      // Nobody has its token.
      'unneeded',
    );
    // Its key is dead and stays there, so nobody acts on the note any more: a repetition may begin anew.
    if (claim !== undefined) await parts.store.releaseRequest(claim);
    throw error;
  }
  return created;
}

/** Who may not see the key any more is not told of it by a repetition either. */
function replayed(within: Reach, key: Key): CreatedKey {
  if (!reaches(within, key)) throw notFound('the key that this request_id made');
  return { key, token: undefined };
}

/** @param id the key's, where it is settled: another call may make the key first. */
async function mintKey(
  parts: Parts,
  origin: CallOrigin,
  keyspace: Keyspace,
  plan: KeyPlan & KeyGenerations,
  id: string | undefined,
): Promise<CreatedKey> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const token = mintToken(keyspace);
    const identity = { id: id ?? newKeyId(), generation: newGeneration() };
    const key = await addKeyFor(parts, keyspace, token, plan, actorOf(origin), identity);
    if (key !== undefined) return { key, token };
    const taken = id === undefined ? undefined : await parts.store.getKey(id);
    if (taken !== undefined) return { key: taken, token: undefined };
  }
  throw new Error('random ids kept colliding: the random source is broken');
}

/**
 * Adds the key that a token opens.
 *
 * @param identity of a secret of the token that is there, without its key.
 * @returns undefined where an id or lookup was taken; nothing is changed then.
 */
export async function addKeyFor(
  { secrets, changes }: Pick<Parts, 'secrets' | 'changes'>,
  keyspace: Keyspace,
  token: string,
  plan: KeyPlan & KeyGenerations,
  actor: Actor,
  identity: KeyIdentity = { id: newKeyId(), generation: newGeneration() },
): Promise<Key | undefined> {
  const key = newKey(keyspace, token, plan, actor.id, identity);
  const sealed = await secrets.seal(keyspace, token);
  const secret = { ...sealed, keyspace: keyspace.id, keyId: key.id, generation: key.generation };
  return (await changes.addKey(key, secret, actor)) ? key : undefined;
}

type KeyGenerations = Pick<Key, 'ownerGeneration' | 'keyspaceGeneration'>;

/**
 * The generations that a key is made in. As they are before it is written: where one ends meanwhile, the key is dead the
 * moment it is there.
 */
async function generationsOf(
  { store }: Parts,
  keyspace: Keyspace,
  plan: Pick<KeyPlan, 'owner'>,
): Promise<KeyGenerations> {
  const owner = await ownerRecordOf(store, keyspace.id, plan);
  return {
    ...optional('ownerGeneration', generationOf(owner) || undefined),
    ...optional('keyspaceGeneration', generationOf(keyspace) || undefined),
  };
}

type KeyIdentity = Pick<Key, 'id' | 'generation'>;

function newKeyId(): string {
  return `key_${randomText('base62', 22)}`;
}

/** Of a secret: random, so that no other secret of the key is ever taken for it. */
export function newGeneration(): string {
  return randomText('base62', 16);
}

function newKey(
  keyspace: Keyspace,
  token: string,
  plan: KeyPlan & KeyGenerations,
  createdBy: string,
  { id, generation }: KeyIdentity,
): Key {
  return {
    ...plan,
    id,
    generation,
    keyspace: keyspace.id,
    displayPrefix: token.slice(0, keyspace.displayLength),
    disabled: false,
    createdBy,
    updateTime: plan.createTime,
    revision: 1,
    pending: [],
  };
}

/**
 * Plans the key once more, with caller and policies as they are now. Whatever comes out otherwise than before was taken
 * away, or changed, while the key was made.
 */
async function planAgain(
  parts: Parts,
  origin: CallOrigin,
  keyspaceId: string,
  request: KeyRequest,
  plan: KeyPlan,
  generations: KeyGenerations,
): Promise<void> {
  const { caller, keyspace } = await judgedAgain(parts, origin, keyspaceId);
  const again = planKey(caller, keyspace, request, plan.createTime);
  const generationsNow = await generationsOf(parts, keyspace, again);
  if (!isDeepStrictEqual([again, generationsNow], [plan, generations])) throw rightsChanged();
}
