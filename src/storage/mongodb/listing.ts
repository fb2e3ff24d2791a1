/** What a KeyFilter, or an OwnerFilter, is in MongoDB's words. Bounds on the last use are not in it: usage is apart from keys. */

import type { Document } from 'mongodb';
import type { KeyState } from '../../domain/key.ts';
import type { KeyFilter, KeyPosition, OwnerFilter, OwnerPosition } from '../key-store.ts';
import { foldName } from '../stored-record.ts';

/** The filter for keys behind `after`. @param now the moment at which states are judged. */
export function keyFilter(filter: KeyFilter, now: number, after?: KeyPosition): Document {
  const conditions = [
    ...scopeConditions(filter),
    ...timeConditions(filter),
    ...(filter.states === undefined
      ? []
      : [{ $or: filter.states.map((state) => stateCondition(state, now)) }]),
    ...(after === undefined ? [] : [behind(after)]),
  ];
  return conditions.length === 0 ? {} : { $and: conditions };
}

/** For an aggregation: whether a key is revoked. */
export const IS_REVOKED: Document = { $ne: [{ $type: '$revoke_time' }, 'missing'] };

/** For an aggregation: whether a key is active. */
export function isActive(now: number): Document {
  return {
    $and: [
      { $not: [IS_REVOKED] },
      { $not: ['$disabled'] },
      // A key without an expiry is missing here, which in this order is before any number.
      { $or: [{ $eq: [{ $type: '$expire_time' }, 'missing'] }, { $gt: ['$expire_time', now] }] },
    ],
  };
}

function scopeConditions(filter: KeyFilter): Document[] {
  const { keyspaces, owner, project, displayPrefix, nameContains } = filter;
  return [
    ...(keyspaces === undefined ? [] : [{ keyspace: { $in: [...new Set(keyspaces)] } }]),
    ...(owner === undefined ? [] : [{ owner_kind: owner.kind, owner_id: owner.id }]),
    ...(project === undefined ? [] : [{ project }]),
    ...(displayPrefix === undefined ? [] : [{ display_prefix: displayPrefix }]),
    // Not $regex, in which the text would be a pattern.
    ...(nameContains === undefined
      ? []
      : [
          { $expr: { $gte: [{ $indexOfBytes: ['$folded_name', { $literal: foldName(nameContains) }] }, 0] } },
        ]),
  ];
}

function timeConditions({ createdAfter, createdBefore, expiresAfter, expiresBefore }: KeyFilter): Document[] {
  const bounds = [
    ['create_time', '$gte', createdAfter],
    ['create_time', '$lt', createdBefore],
    ['expire_time', '$gte', expiresAfter],
    ['expire_time', '$lt', expiresBefore],
  ] as const;
  return bounds.flatMap(([field, operator, time]) =>
    time === undefined ? [] : [{ [field]: { [operator]: time } }],
  );
}

const NOT_REVOKED = { revoke_time: { $exists: false } };

/** The order of `keyState`: the first that applies. */
function stateCondition(state: KeyState, now: number): Document {
  switch (state) {
    case 'revoked':
      return { revoke_time: { $exists: true } };
    case 'disabled':
      return { ...NOT_REVOKED, disabled: true };
    case 'expired':
      return { ...NOT_REVOKED, disabled: false, expire_time: { $lte: now } };
    case 'active':
      return {
        ...NOT_REVOKED,
        disabled: false,
        $or: [{ expire_time: { $exists: false } }, { expire_time: { $gt: now } }],
      };
  }
}

/** The first bound is for the index: without it the server would walk there from the newest key. */
function behind({ createTime, id }: KeyPosition): Document {
  return {
    create_time: { $lte: createTime },
    $or: [{ create_time: { $lt: createTime } }, { _id: { $lt: id } }],
  };
}

/** The filter for owners behind `after`. */
export function ownerFilter(
  { keyspaces, kind, disabled }: OwnerFilter,
  after: OwnerPosition | undefined,
): Document {
  const conditions = [
    ...(keyspaces === undefined ? [] : [{ keyspace: { $in: [...new Set(keyspaces)] } }]),
    ...(kind === undefined ? [] : [{ owner_kind: kind }]),
    ...(disabled === undefined ? [] : [{ disabled }]),
    ...(after === undefined ? [] : [ownersBehind(after)]),
  ];
  return conditions.length === 0 ? {} : { $and: conditions };
}

/** The first bound is for the index, as in `behind`. */
function ownersBehind({ keyspace, owner: { kind, id } }: OwnerPosition): Document {
  return {
    keyspace: { $gte: keyspace },
    $or: [
      { keyspace: { $gt: keyspace } },
      { keyspace, owner_kind: { $gt: kind } },
      { keyspace, owner_kind: kind, owner_id: { $gt: id } },
    ],
  };
}
