/** What listing and counting mean, over keys in an array: written to be read, as the measure for every store. */

import { type Key, keyState, sameOwner, type Usage } from '../../src/domain/key.ts';
import type { KeyCounts, KeyFilter } from '../../src/storage/key-store.ts';

export interface ModelKey {
  readonly key: Key;
  readonly usage: Usage | undefined;
}

export function modelList(keys: readonly ModelKey[], filter: KeyFilter, now: number): string[] {
  return keys
    .filter((one) => passes(one, filter) && (filter.states?.includes(keyState(one.key, now)) ?? true))
    .map(({ key }) => key)
    .sort((one, other) => other.createTime - one.createTime || (one.id < other.id ? 1 : -1))
    .map(({ id }) => id);
}

export function modelCount(keys: readonly ModelKey[], filter: KeyFilter, now: number): KeyCounts {
  const passing = keys.filter((one) => passes(one, filter));
  return {
    total: passing.length,
    active: passing.filter(({ key }) => keyState(key, now) === 'active').length,
    revoked: passing.filter(({ key }) => keyState(key, now) === 'revoked').length,
  };
}

/** All of the filter but `states`. */
function passes({ key, usage }: ModelKey, filter: KeyFilter): boolean {
  return (
    (filter.keyspaces === undefined || filter.keyspaces.includes(key.keyspace)) &&
    (filter.owner === undefined || sameOwner(filter.owner, key.owner)) &&
    (filter.project === undefined || filter.project === (key.project ?? '')) &&
    (filter.nameContains === undefined ||
      key.name.toLowerCase().includes(filter.nameContains.toLowerCase())) &&
    (filter.displayPrefix === undefined || filter.displayPrefix === key.displayPrefix) &&
    within(key.createTime, filter.createdAfter, filter.createdBefore) &&
    within(
      usage?.lastUsedTime ?? (filter.lastUsedAfter === undefined ? 0 : undefined),
      filter.lastUsedAfter,
      filter.lastUsedBefore,
    ) &&
    within(key.expireTime, filter.expiresAfter, filter.expiresBefore)
  );
}

function within(time: number | undefined, after: number | undefined, before: number | undefined): boolean {
  if (after === undefined && before === undefined) return true;
  return time !== undefined && time >= (after ?? time) && time < (before ?? time + 1);
}
