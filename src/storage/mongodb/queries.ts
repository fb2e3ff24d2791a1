/**
 * Every query that is not by `_id`, with the index that serves it. The index is named to the server (`hint`), which then
 * uses it or refuses; a test asks it (`explain`) that it neither scans a collection nor sorts. Filters of listings are in
 * listing.ts.
 */

import type { Document, Sort } from 'mongodb';
import type { KeyFilter, OwnerFilter, OwnerPosition, UnpublishedRecord } from '../key-store.ts';
import { ownerFilter } from './listing.ts';
import { BY_PLACE, type Collections, NEWEST_FIRST } from './schema.ts';

export interface Query {
  readonly collection: keyof Collections;
  readonly index: string;
  readonly filter: Document;
  readonly sort?: Sort;
}

export const QUERIES = {
  // All of them are asked for, and they are few.
  keyspaces: (): Query => ({ collection: 'keyspaces', index: '_id_', filter: {}, sort: { _id: 1 } }),

  unpublished: (collection: 'keys' | 'keyspaces' | 'owners', before: number): Query => ({
    collection,
    index: 'unpublished',
    filter: { unpublished: { $lt: before } },
    sort: { unpublished: 1 },
  }),

  childrenOf: (parentKeyId: string, after = ''): Query => ({
    collection: 'keys',
    index: 'by_parent',
    filter: { parent_key_id: parentKeyId, _id: { $gt: after } },
    sort: { _id: 1 },
  }),

  owners: (filter: OwnerFilter, after: OwnerPosition | undefined): Query => ({
    collection: 'owners',
    index: 'by_place',
    filter: ownerFilter(filter, after),
    sort: BY_PLACE,
  }),

  unmarkedOwners: (): Query => ({
    collection: 'owners',
    index: 'unmarked',
    filter: { unmarked: { $gt: 0 } },
    sort: { unmarked: 1 },
  }),

  secretsUnder: (pepperId: string): Query => ({
    collection: 'secrets',
    index: 'by_pepper',
    filter: { pepper_id: pepperId },
  }),

  eventsOf: ({ kind, id }: UnpublishedRecord): Query => ({
    collection: 'events',
    index: 'by_record',
    filter: { kind, record_id: id },
    sort: { revision: 1 },
  }),
} as const;

/**
 * Every shape of listing and the index that serves it: the first whose fields the filter fixes, so the one that leaves
 * fewest keys comes first. Where it is several keyspaces, the server merges their stretches of the index in order.
 */
export const LISTING_INDEXES: readonly {
  readonly index: string;
  readonly serves: (filter: KeyFilter) => boolean;
}[] = [
  { index: 'by_display_prefix', serves: (filter) => filter.displayPrefix !== undefined },
  {
    index: 'by_keyspace_owner',
    serves: (filter) => filter.keyspaces !== undefined && filter.owner !== undefined,
  },
  { index: 'by_owner', serves: (filter) => filter.owner !== undefined },
  {
    index: 'by_project',
    serves: (filter) => filter.keyspaces !== undefined && filter.project !== undefined,
  },
  { index: 'by_keyspace', serves: (filter) => filter.keyspaces !== undefined },
  { index: 'by_time', serves: () => true },
];

/** Whether an index for the filter exists only within keyspaces, so that all of them have to be named. */
export function needsKeyspaces(filter: KeyFilter): boolean {
  return listingIndex(filter) === 'by_time' && filter.project !== undefined;
}

function listingIndex(filter: KeyFilter): string {
  const shape = LISTING_INDEXES.find(({ serves }) => serves(filter));
  if (shape === undefined) throw new Error('no index serves this filter');
  return shape.index;
}

/** The keys that a filter of listing.ts passes, newest first. */
export function listingQuery(filter: KeyFilter, document: Document): Query {
  return { collection: 'keys', index: listingIndex(filter), filter: document, sort: NEWEST_FIRST };
}
