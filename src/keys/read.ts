/** Looking at keys. */

import { type Caller, outOfReach, type Reach, reach } from '../domain/caller.ts';
import { type Key, sameOwner, secretUsageId, type Usage } from '../domain/key.ts';
import type { KeyspaceDirectory } from '../domain/keyspace.ts';
import type { KeyCounts, KeyFilter, KeyPosition, ListedKey } from '../storage/key-store.ts';
import { asShown, countShown, listShown, viewOf } from './listed.ts';
import { makePageToken, readPageToken } from './page-token.ts';
import { type Parts, reachKey, reachKeyspace } from './parts.ts';

/** A key as it is shown, with its usage, up to a second late. */
export interface ShownKey extends ListedKey {
  /** Last VALID answer to the secret before the last rotation, since then. */
  readonly previousLastUsedTime: number | undefined;
}

/** One key. @throws Failure `not-found`, `denied`, `unavailable`. */
export async function getKey(parts: Parts, caller: Caller, id: string): Promise<ShownKey> {
  const { key } = await reachKey(parts, caller, 'keys:read', id);
  return shown(parts, key);
}

/** A key as it is recorded, but revoked where its generation has ended, with its usage. */
export async function shown(parts: Pick<Parts, 'store' | 'verifier'>, record: Key): Promise<ShownKey> {
  const [only] = await shownAll(parts, [record]);
  if (only === undefined) throw new Error('the key is gone');
  return only;
}

/** As `shown`, each of the keys, in their order. */
export async function shownAll(
  { store, verifier }: Pick<Parts, 'store' | 'verifier'>,
  records: readonly Key[],
): Promise<readonly ShownKey[]> {
  const keys = await asShown(viewOf(store, await verifier.directory(true)), records);
  const previous = keys.flatMap((key) => previousUsageId(key) ?? []);
  const usage = await store.readUsage([...keys.map(({ id }) => id), ...previous]);
  return keys.map((key) => withPrevious({ key, usage: usage.get(key.id) }, usage));
}

function previousUsageId({ id, previous }: Key): string | undefined {
  return previous === undefined ? undefined : secretUsageId(id, previous.generation);
}

function withPrevious(listed: ListedKey, usage: ReadonlyMap<string, Usage>): ShownKey {
  const previous = previousUsageId(listed.key);
  return {
    ...listed,
    previousLastUsedTime: previous === undefined ? undefined : usage.get(previous)?.lastUsedTime,
  };
}

export interface ListQuestion {
  /** Empty: every keyspace that the caller may read. */
  readonly keyspace: string;
  readonly filter: Omit<KeyFilter, 'keyspaces'>;
  readonly pageSize: number;
  /** Empty: from the newest key on. */
  readonly pageToken: string;
  readonly withTotals: boolean;
}

export interface KeyListing {
  readonly keys: readonly ShownKey[];
  /** Where the listing goes on behind these; undefined: nothing is left. */
  readonly next: KeyPosition | undefined;
  /** Both without regard to `states`; absent unless asked for. */
  readonly totals: Pick<KeyCounts, 'total' | 'active'> | undefined;
  /** The moment at which states were judged. */
  readonly now: number;
  /** The token of the page that begins after a key of this one. */
  tokenAfter(position: KeyPosition): string;
}

/**
 * Keys that the caller may read, newest first.
 *
 * @throws Failure `invalid` for a page token of another listing or caller, `not-found`, `denied`, `unavailable`.
 */
export async function listKeys(parts: Parts, caller: Caller, question: ListQuestion): Promise<KeyListing> {
  const filter = await readableFilter(parts, caller, question);
  const { macKey } = await parts.store.readRegistry();
  const listing = ['keys', caller.key.id, question.keyspace, question.filter];
  const after =
    question.pageToken === '' ? undefined : readPageToken<KeyPosition>(macKey, listing, question.pageToken);
  const tokenAfter = (position: KeyPosition) =>
    makePageToken(macKey, listing, { createTime: position.createTime, id: position.id });
  const now = parts.now();
  if (filter === undefined) {
    return {
      keys: [],
      next: undefined,
      totals: question.withTotals ? { total: 0, active: 0 } : undefined,
      now,
      tokenAfter,
    };
  }

  const view = viewOf(parts.store, await parts.verifier.directory(true));
  const { keys, next } = await listShown(view, filter, { limit: question.pageSize, after, now });
  const previous = keys.flatMap(({ key }) => previousUsageId(key) ?? []);
  const previousUsage = await parts.store.readUsage(previous);
  const totals = question.withTotals ? await countShown(view, parts.store, filter, now) : undefined;
  return {
    keys: keys.map((listed) => withPrevious(listed, previousUsage)),
    next,
    totals,
    now,
    tokenAfter,
  };
}

/** The filter cut down to what the caller may read; undefined where nothing can pass it. */
async function readableFilter(
  parts: Parts,
  caller: Caller,
  { keyspace, filter }: ListQuestion,
): Promise<KeyFilter | undefined> {
  if (keyspace !== '') {
    const { within } = await reachKeyspace(parts, caller, 'keys:read', keyspace);
    return narrowed(within, { ...filter, keyspaces: [keyspace] });
  }
  const directory = await parts.verifier.directory(true);
  const readable = readableKeyspaces(caller, directory);
  const [first] = readable;
  if (first === undefined) throw outOfReach(caller, 'keys:read', 'keyspace');
  const all = readable.length === directory.ids().length;
  return narrowed(first.within, { ...filter, ...(all ? {} : { keyspaces: readable.map((one) => one.id) }) });
}

/** A self-service caller reaches one keyspace, a management caller all of each: so the reach is the same everywhere. */
function readableKeyspaces(caller: Caller, directory: KeyspaceDirectory): { id: string; within: Reach }[] {
  return directory.ids().flatMap((id) => {
    const keyspace = directory.get(id);
    const within = keyspace === undefined ? undefined : reach(caller, 'keys:read', keyspace);
    return within === undefined ? [] : [{ id, within }];
  });
}

function narrowed(within: Reach, filter: KeyFilter): KeyFilter | undefined {
  if (within.scope === 'keyspace') return filter;
  const { owner, project } = within;
  if (filter.owner !== undefined && !sameOwner(filter.owner, owner)) return undefined;
  if (project !== undefined && filter.project !== undefined && filter.project !== project) return undefined;
  return { ...filter, owner, ...(project === undefined ? {} : { project }) };
}
