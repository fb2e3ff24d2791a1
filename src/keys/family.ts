/** Keys and the keys that they made, or rotated last, by self-service. */

import { chunksOf } from '../domain/chunks.ts';
import { isExpired, type Key } from '../domain/key.ts';
import { asShown, viewOf } from './listed.ts';
import type { Parts } from './parts.ts';

const PAGE = 500;
/** Of how many keys the children are asked for at one time. */
const PARENTS_AT_ONCE = 32;

type Store = Pick<Parts, 'store'>;

/** Whether the key of this id is `key` itself, or made it, or made the key that made it, and so on, however far back. */
export async function isAncestor({ store }: Store, id: string, key: Key): Promise<boolean> {
  const seen = new Set<string>();
  let current: Key | undefined = key;
  while (current !== undefined && !seen.has(current.id)) {
    if (current.id === id) return true;
    seen.add(current.id);
    current = current.parentKeyId === undefined ? undefined : await store.getKey(current.parentKeyId);
  }
  return false;
}

/** Each descendant of a key once, dead ones too, and each before its own children are asked for. */
export async function* descendantsOf({ store }: Store, id: string): AsyncIterable<Key> {
  const seen = new Set([id]);
  const waiting = [id];
  while (waiting.length > 0) {
    const parents = waiting.splice(0, PARENTS_AT_ONCE);
    const children = await Promise.all(parents.map((parent) => childrenOf(store, parent)));
    for (const child of children.flat()) {
      if (seen.has(child.id)) continue;
      seen.add(child.id);
      yield child;
      waiting.push(child.id);
    }
  }
}

async function childrenOf(store: Parts['store'], parent: string): Promise<Key[]> {
  const all: Key[] = [];
  for (;;) {
    const page = await store.listChildren(parent, all.at(-1)?.id, PAGE);
    all.push(...page);
    if (page.length < PAGE) return all;
  }
}

export interface LiveDescendants {
  /** The newest of those that may be shown, at most as many as were asked for. */
  readonly keys: readonly Key[];
  /** How many there are in all. */
  readonly size: number;
}

/**
 * Descendants that are neither revoked nor expired.
 *
 * @param mayShow whether the caller may see this one.
 */
export async function liveDescendants(
  parts: Parts,
  id: string,
  limit: number,
  mayShow: (key: Key) => boolean,
): Promise<LiveDescendants> {
  const now = parts.now();
  const view = viewOf(parts.store, await parts.verifier.directory(true));
  let newest: Key[] = [];
  let size = 0;
  for await (const recorded of chunksOf(descendantsOf(parts, id), PAGE)) {
    const keys = await asShown(view, recorded);
    const live = keys.filter((key) => key.revokeTime === undefined && !isExpired(key, now));
    size += live.length;
    newest = newestOf([...newest, ...live.filter(mayShow)], limit);
  }
  return { keys: newestOf(newest, limit), size };
}

function newestOf(keys: readonly Key[], limit: number): Key[] {
  return [...keys]
    .sort((one, other) => other.createTime - one.createTime || (one.id < other.id ? 1 : -1))
    .slice(0, limit);
}
