/** Keys and the keys that they made, or rotated last, by self-service. */

import { isExpired, type Key } from '../domain/key.ts';
import { asShown, viewOf } from './listed.ts';
import type { Parts } from './parts.ts';

/** Longer chains are nobody's doing but an attacker's; what lies beyond counts as related. */
const MAX_DEPTH = 1000;
const PAGE = 500;

/** Whether the key of this id is `key` itself, or made it, or made the key that made it, and so on. */
export async function isAncestor({ store }: Pick<Parts, 'store'>, id: string, key: Key): Promise<boolean> {
  let current: Key | undefined = key;
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    if (current === undefined) return false;
    if (current.id === id) return true;
    current = current.parentKeyId === undefined ? undefined : await store.getKey(current.parentKeyId);
  }
  return true;
}

/** Each descendant of a key once, dead ones too, and each before those that it made itself. */
export async function* descendantsOf({ store }: Pick<Parts, 'store'>, id: string): AsyncIterable<Key> {
  const seen = new Set([id]);
  const waiting = [id];
  for (let parent = waiting.shift(); parent !== undefined; parent = waiting.shift()) {
    let after: string | undefined;
    do {
      const children: readonly Key[] = await store.listChildren(parent, after, PAGE);
      for (const child of children) {
        if (seen.has(child.id)) continue;
        seen.add(child.id);
        yield child;
        waiting.push(child.id);
      }
      after = children.length < PAGE ? undefined : children.at(-1)?.id;
    } while (after !== undefined);
  }
}

export interface LiveDescendants {
  /** The newest, at most as many as were asked for. */
  readonly keys: readonly Key[];
  /** How many there are in all. */
  readonly size: number;
}

/** Descendants that are neither revoked nor expired. */
export async function liveDescendants(parts: Parts, id: string, limit: number): Promise<LiveDescendants> {
  const now = parts.now();
  const view = viewOf(parts.store, await parts.verifier.directory(true));
  let newest: Key[] = [];
  let size = 0;
  for await (const recorded of descendantsOf(parts, id)) {
    const [key] = await asShown(view, [recorded]);
    if (key === undefined) continue;
    if (key.revokeTime !== undefined || isExpired(key, now)) continue;
    size++;
    newest.push(key);
    if (newest.length >= 2 * limit) newest = newestOf(newest, limit);
  }
  return { keys: newestOf(newest, limit), size };
}

function newestOf(keys: readonly Key[], limit: number): Key[] {
  return [...keys]
    .sort((one, other) => other.createTime - one.createTime || (one.id < other.id ? 1 : -1))
    .slice(0, limit);
}
