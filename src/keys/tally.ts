/** How many keys a revocation of many is about, and the newest of them. */

import type { Key, KeyState, Owner } from '../domain/key.ts';
import type { KeyspaceDirectory } from '../domain/keyspace.ts';
import { optional } from '../domain/optional.ts';
import { ownerId } from '../domain/owner.ts';
import type { KeyFilter, KeyStore } from '../storage/key-store.ts';
import { countOneByOne, listShown, mayBeUnmarked, type View, viewOf } from './listed.ts';

/** All keys of an owner, or of anyone, in these keyspaces. */
export interface Scope {
  readonly keyspaces: readonly string[];
  readonly owner: Owner | undefined;
}

/** Which generations lived at some moment. */
export interface Snapshot extends View {
  readonly store: KeyStore;
  /** Whether the records of all keys that were dead then say so themselves. */
  readonly marked: boolean;
}

export interface Tally {
  readonly count: number;
  /** The newest first. */
  readonly sample: readonly Key[];
}

const SAMPLE = 20;
const NOT_REVOKED: readonly KeyState[] = ['active', 'disabled', 'expired'];

/** The generations as they are before those of the scope are ended. */
export async function snapshotOf(
  store: KeyStore,
  directory: KeyspaceDirectory,
  { keyspaces, owner }: Scope,
): Promise<Snapshot> {
  const now = viewOf(store, directory);
  if (owner === undefined) return { ...now, store, marked: !(await mayBeUnmarked(now, keyspaces)) };
  const ids = keyspaces.map((keyspace) => ownerId(keyspace, owner));
  const owners = await store.readOwners(ids);
  const records = [...owners.values(), ...keyspaces.map((id) => directory.get(id))];
  return {
    directory,
    store,
    readOwners: async () => owners,
    marked: records.every((record) => record?.unmarked === undefined),
  };
}

/** Keys of the scope that were not revoked at the moment of the snapshot. Takes longer where some were not marked then. */
export async function tallyOf(snapshot: Snapshot, { keyspaces, owner }: Scope, now: number): Promise<Tally> {
  const filter = { keyspaces, ...optional('owner', owner) };
  const live = { ...filter, states: NOT_REVOKED };
  const [{ keys }, count] = await Promise.all([
    listShown(snapshot, live, { limit: SAMPLE, after: undefined, now }),
    snapshot.marked ? counted(snapshot, filter, now) : countOneByOne(snapshot, live, now),
  ]);
  return { count, sample: keys.map(({ key }) => key) };
}

async function counted({ store }: Snapshot, filter: KeyFilter, now: number): Promise<number> {
  const { total, revoked } = await store.countKeys(filter, now);
  return total - revoked;
}
