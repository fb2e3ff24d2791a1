/**
 * Which statement lists or counts the keys that pass a filter. The text depends on which fields are set, the
 * values are always bound.
 */

import type { SQLInputValue } from 'node:sqlite';
import type { KeyFilter, KeyPosition } from '../key-store.ts';
import { foldName } from '../stored-record.ts';

/** A filter on one keyspace at most: keys of several cannot be read in order from one index. */
export interface OneFilter extends Omit<KeyFilter, 'keyspaces'> {
  readonly keyspace?: string;
}

export interface Query {
  readonly sql: string;
  readonly values: readonly SQLInputValue[];
}

/**
 * Every shape of listing and the index that serves it: the first whose columns the filter fixes, so the one that
 * leaves fewest rows comes first. Each holds (create_time, id) behind those columns, so a page needs no sorting and
 * begins where the last one ended. The index is named in the text (INDEXED BY): SQLite then refuses to do without.
 */
export const LISTING_INDEXES: readonly {
  readonly index: string;
  readonly serves: (filter: OneFilter) => boolean;
}[] = [
  { index: 'keys_by_display_prefix', serves: (filter) => filter.displayPrefix !== undefined },
  {
    index: 'keys_by_keyspace_owner',
    serves: (filter) => filter.keyspace !== undefined && filter.owner !== undefined,
  },
  { index: 'keys_by_owner', serves: (filter) => filter.owner !== undefined },
  {
    index: 'keys_by_project',
    serves: (filter) => filter.keyspace !== undefined && filter.project !== undefined,
  },
  { index: 'keys_by_keyspace', serves: (filter) => filter.keyspace !== undefined },
  { index: 'keys_by_time', serves: () => true },
];

/** Whether an index for the filter exists only within a keyspace, so that one keyspace after another is asked. */
export function needsKeyspace(filter: OneFilter): boolean {
  return filter.project !== undefined && filter.owner === undefined && filter.displayPrefix === undefined;
}

// The order of `keyState`: the first that applies.
const STATE = `CASE WHEN keys.revoke_time IS NOT NULL THEN 'revoked' WHEN keys.disabled THEN 'disabled'
  WHEN keys.expire_time <= ? THEN 'expired' ELSE 'active' END`;

/** The newest `limit` keys that pass, newest first, those behind `after`. */
export function listQuery(
  filter: OneFilter,
  after: KeyPosition | undefined,
  now: number,
  limit: number,
): Query {
  const conditions = [
    ...scopeConditions(filter),
    ...rangeConditions(filter),
    ...placeConditions(filter, after),
  ];
  const { states } = filter;
  if (states !== undefined) {
    conditions.push({ sql: `${STATE} IN (${states.map(() => '?').join(', ')})`, values: [now, ...states] });
  }
  const columns = 'keys.id, keys.create_time, keys.record, keys.pending, usage.count, usage.last_used_time';
  return {
    sql: `SELECT ${columns} FROM ${source(filter, 'LEFT')}${where(conditions)}
      ORDER BY keys.create_time DESC, keys.id DESC LIMIT ?`,
    values: [...conditions.flatMap((one) => one.values), limit],
  };
}

/** How many keys pass (`states` apart), and how many of them are active and revoked. */
export function countQuery(filter: OneFilter, now: number): Query {
  const conditions = [
    ...scopeConditions(filter),
    ...rangeConditions(filter),
    ...placeConditions(filter, undefined),
  ];
  return {
    sql: `SELECT count(*) AS total, count(CASE WHEN ${STATE} = 'active' THEN 1 END) AS active,
        count(keys.revoke_time) AS revoked
      FROM ${source(filter, undefined)}${where(conditions)}`,
    values: [now, ...conditions.flatMap((one) => one.values)],
  };
}

/**
 * Keys by their index, usage to each by its primary key (CROSS: SQLite must not turn the join round).
 * A key that was never used has none, and stays in where only `lastUsedBefore` asks (LEFT).
 * @param otherwise how to join where the filter itself asks nothing of usage; undefined: not at all.
 */
function source(filter: OneFilter, otherwise: 'LEFT' | undefined): string {
  const keys = `keys INDEXED BY ${indexFor(filter)}`;
  const join =
    filter.lastUsedAfter !== undefined ? 'CROSS' : filter.lastUsedBefore !== undefined ? 'LEFT' : otherwise;
  return join === undefined ? keys : `${keys} ${join} JOIN usage ON usage.key_id = keys.id`;
}

function indexFor(filter: OneFilter): string {
  const shape = LISTING_INDEXES.find(({ serves }) => serves(filter));
  if (shape === undefined) throw new Error('no index serves this filter');
  return shape.index;
}

type Condition = Query;

function where(conditions: readonly Condition[]): string {
  return conditions.length === 0 ? '' : ` WHERE ${conditions.map(({ sql }) => sql).join(' AND ')}`;
}

/** Conditions that say whose keys are meant. */
function scopeConditions({ keyspace, owner, project, displayPrefix, nameContains }: OneFilter): Condition[] {
  const conditions: Condition[] = [];
  if (keyspace !== undefined) conditions.push({ sql: 'keys.keyspace = ?', values: [keyspace] });
  if (owner !== undefined) {
    conditions.push({ sql: 'keys.owner_kind = ? AND keys.owner_id = ?', values: [owner.kind, owner.id] });
  }
  if (project === '') conditions.push({ sql: 'keys.project IS NULL', values: [] });
  else if (project !== undefined) conditions.push({ sql: 'keys.project = ?', values: [project] });
  if (displayPrefix !== undefined) {
    conditions.push({ sql: 'keys.display_prefix = ?', values: [displayPrefix] });
  }
  if (nameContains !== undefined) {
    // instr and not LIKE: nothing in the pattern is a wildcard, and SQLite folds no letters on its own.
    conditions.push({ sql: 'instr(keys.folded_name, ?) > 0', values: [foldName(nameContains)] });
  }
  return conditions;
}

const LAST_USED_BEFORE = '(usage.last_used_time < ? OR usage.last_used_time IS NULL)';

/** Bounds on times. NULL is in no range: such a comparison is not true in SQL. Never used is before any time, though. */
function rangeConditions(filter: OneFilter): Condition[] {
  const bounds: readonly (readonly [string, number | undefined])[] = [
    ['keys.create_time >= ?', filter.createdAfter],
    ['keys.expire_time >= ?', filter.expiresAfter],
    ['keys.expire_time < ?', filter.expiresBefore],
    ['usage.last_used_time >= ?', filter.lastUsedAfter],
    [LAST_USED_BEFORE, filter.lastUsedBefore],
  ];
  return bounds.flatMap(([sql, value]) => (value === undefined ? [] : [{ sql, values: [value] }]));
}

/**
 * Where in the order to begin. Of `after` and `createdBefore` only the one that says more: SQLite begins its
 * search at one upper bound, and might take the other.
 */
function placeConditions({ createdBefore }: OneFilter, after: KeyPosition | undefined): Condition[] {
  if (after !== undefined && (createdBefore === undefined || after.createTime < createdBefore)) {
    return [{ sql: '(keys.create_time, keys.id) < (?, ?)', values: [after.createTime, after.id] }];
  }
  return createdBefore === undefined ? [] : [{ sql: 'keys.create_time < ?', values: [createdBefore] }];
}
