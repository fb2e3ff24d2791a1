/** Keys as they are shown: their own records, revoked where their generation has ended. */

import { setImmediate } from 'node:timers/promises';
import { type Key, keyState, type Owner } from '../domain/key.ts';
import type { KeyspaceDirectory } from '../domain/keyspace.ts';
import { ownerId } from '../domain/owner.ts';
import { inItsGeneration } from '../domain/standing.ts';
import type { KeyCounts, KeyFilter, KeyPosition, KeyStore, ListedKey } from '../storage/key-store.ts';

/** Keys that one call goes through in search of those that pass, and how many at one time. */
const MAX_SCANNED = 10_000;
const CHUNK = 1000;

/** What says which generations live, and where keys are. */
export interface View {
  readonly store: Pick<KeyStore, 'listKeys' | 'listUnmarkedOwners'>;
  readonly directory: KeyspaceDirectory;
  readonly readOwners: KeyStore['readOwners'];
}

/** The view of now. */
export function viewOf(store: KeyStore, directory: KeyspaceDirectory): View {
  return { store, directory, readOwners: (ids) => store.readOwners(ids) };
}

/** Keys of any keyspaces as they are shown, in their order. */
export async function asShown({ directory, readOwners }: View, keys: readonly Key[]): Promise<Key[]> {
  const ids = new Set(keys.flatMap(({ keyspace, owner }) => (owner ? [ownerId(keyspace, owner)] : [])));
  const owners = await readOwners([...ids]);
  return keys.map((key) => {
    const keyspace = directory.get(key.keyspace);
    const owner = key.owner && owners.get(ownerId(key.keyspace, key.owner));
    return keyspace === undefined ? key : inItsGeneration(key, keyspace, owner);
  });
}

/** Whether there may be keys whose generation has ended and whose record does not say so yet. */
export async function mayBeUnmarked(
  { store, directory }: View,
  keyspaces?: readonly string[],
): Promise<boolean> {
  if ((keyspaces ?? directory.ids()).some((id) => directory.get(id)?.unmarked === true)) return true;
  return (await store.listUnmarkedOwners(1)).length > 0;
}

export interface Stretch {
  readonly keys: readonly ListedKey[];
  /** Where the listing goes on; undefined: nothing is left. */
  readonly next: KeyPosition | undefined;
}

/**
 * Keys that pass the filter as they are shown, newest first. Fewer than `limit`, even none, where very many had to be
 * gone through for them.
 */
export async function listShown(
  view: View,
  filter: KeyFilter,
  {
    limit,
    after,
    now,
  }: { readonly limit: number; readonly after: KeyPosition | undefined; readonly now: number },
): Promise<Stretch> {
  const asked = await storeFilter(view, filter);
  const found: ListedKey[] = [];
  let position = after;
  for (let scanned = 0; ; ) {
    const size = scanned === 0 ? limit + 1 : CHUNK;
    const page = { filter: asked, limit: size, now, ...(position === undefined ? {} : { after: position }) };
    const listed = await view.store.listKeys(page);
    const keys = await asShown(
      view,
      listed.map(({ key }) => key),
    );
    for (const [index, key] of keys.entries()) {
      if (filter.states?.includes(keyState(key, now)) === false) continue;
      if (found.length === limit) return { keys: found, next: found.at(-1)?.key };
      found.push({ key, usage: listed[index]?.usage });
    }
    scanned += keys.length;
    position = keys.at(-1);
    if (keys.length < size) return { keys: found, next: undefined };
    if (scanned >= MAX_SCANNED) return { keys: found, next: position };
    // The embedded store works on this thread: others have their turn between two chunks.
    await setImmediate();
  }
}

/** Keys that pass the filter as they are shown, gone through one by one: the store counts by records alone. */
export async function countOneByOne(view: View, filter: KeyFilter, now: number): Promise<number> {
  let count = 0;
  let after: KeyPosition | undefined;
  do {
    const { keys, next } = await listShown(view, filter, { limit: CHUNK, after, now });
    count += keys.length;
    after = next;
  } while (after !== undefined);
  return count;
}

/**
 * How many keys pass the filter without regard to its states, and how many of them are active. As they are shown where the
 * filter names an owner; over several owners as their records say, which may lag behind a revocation of many.
 */
export async function countShown(
  view: View,
  store: Pick<KeyStore, 'countKeys'>,
  { states: _, ...filter }: KeyFilter,
  now: number,
): Promise<Pick<KeyCounts, 'total' | 'active'>> {
  const counts = await store.countKeys(filter, now);
  if (filter.owner === undefined || (await isMarked(view, filter, filter.owner))) return counts;
  return { total: counts.total, active: await countOneByOne(view, { ...filter, states: ['active'] }, now) };
}

/** Whether the records of all of an owner's keys that are dead say so themselves. */
async function isMarked(
  { directory, readOwners }: View,
  { keyspaces = directory.ids() }: KeyFilter,
  owner: Owner,
): Promise<boolean> {
  if (keyspaces.some((id) => directory.get(id)?.unmarked === true)) return false;
  const owners = await readOwners(keyspaces.map((id) => ownerId(id, owner)));
  return [...owners.values()].every(({ unmarked }) => unmarked === undefined);
}

/** What to ask the store, which judges states by records alone: unmarked ones that are revoked pass as something else there. */
async function storeFilter(view: View, filter: KeyFilter): Promise<KeyFilter> {
  const { states, ...rest } = filter;
  if (states?.includes('revoked') !== true || !(await mayBeUnmarked(view, filter.keyspaces))) return filter;
  return rest;
}
