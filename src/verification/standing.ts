/** From a stored key to the key as it stands, which takes its owner's record. */

import type { Key } from '../domain/key.ts';
import type { Keyspace } from '../domain/keyspace.ts';
import { type OwnerRecord, ownerId } from '../domain/owner.ts';
import { RESERVED_KEYSPACE } from '../domain/permissions.ts';
import { type StandingKey, standing } from '../domain/standing.ts';
import type { KeyStore } from '../storage/key-store.ts';

/**
 * The key as it stands. The owner's record is read after the key: had it been read before, a key that was made in
 * between would be held against an older generation than its own.
 *
 * @param keyspace the key's own.
 */
export async function standingOf(
  store: Pick<KeyStore, 'getOwner'>,
  key: Key,
  keyspace: Keyspace,
): Promise<StandingKey> {
  return standing(key, keyspace, await ownerRecordOf(store, keyspace.id, key));
}

/** The record of a key's owner; undefined where there is none, or the key has no owner. */
export async function ownerRecordOf(
  store: Pick<KeyStore, 'getOwner'>,
  keyspace: string,
  { owner }: Pick<Key, 'owner'>,
): Promise<OwnerRecord | undefined> {
  const id = rulingOwner(keyspace, { owner });
  return id === undefined ? undefined : store.getOwner(id);
}

/** The `ownerId` whose record has a say in a key; undefined where none has. */
export function rulingOwner(keyspace: string, { owner }: { readonly owner?: Key['owner'] | undefined }) {
  // The reserved keyspace has no owner effects.
  return owner === undefined || keyspace === RESERVED_KEYSPACE ? undefined : ownerId(keyspace, owner);
}
