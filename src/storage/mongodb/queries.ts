/**
 * Every query that is not by `_id`, with the index that serves it. The index is named to the server (`hint`), which then
 * uses it or refuses; a test asks it (`explain`) that it neither scans a collection nor sorts. Filters of listings are in
 * listing.ts.
 */

import type { Collection, Document, Filter, FindCursor, FindOptions, Sort } from 'mongodb';
import { optional } from '../../domain/optional.ts';
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

  unpublished: (collection: 'keys' | 'keyspaces' | 'owners'): Query => ({
    collection,
    index: 'unpublished',
    filter: { unpublished: { $gte: 0 } },
    sort: { unpublished: 1 },
  }),

  childrenOf: (parentKeyId: string, after: string | undefined): Query => ({
    collection: 'keys',
    index: 'by_parent',
    filter: { parent_key_id: parentKeyId, ...(after === undefined ? {} : { _id: { $gt: after } }) },
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

  /** Which peppers there are: the values of `pepper_id`. */
  peppers: (): Query => ({ collection: 'secrets', index: 'by_pepper', filter: { pepper_id: { $gt: '' } } }),

  eventsOf: ({ kind, id }: UnpublishedRecord): Query => ({
    collection: 'events',
    index: 'by_record',
    filter: { kind, record_id: id },
    sort: { revision: 1 },
  }),

  // What a copy moves: all of a collection that passes, behind `after`.
  moved: (collection: keyof Collections, filter: Document, after?: string): Query => ({
    collection,
    index: '_id_',
    filter: after === undefined ? filter : { $and: [{ _id: { $gt: after } }, filter] },
    sort: { _id: 1 },
  }),
} as const;

/** A cursor over what the query finds. */
export function find<D extends Document>(
  collections: Collections,
  { collection, index, filter, sort }: Query,
  options: FindOptions,
): FindCursor<D> {
  const documents = collections[collection] as unknown as Collection<D>;
  return documents.find(filter as Filter<D>, {
    hint: index,
    ...optional('sort', sort),
    ...options,
  }) as FindCursor<D>;
}

/**
 * Every shape of listing and the index that serves it: the first whose fields the filter fixes, so the one that leaves
 * fewest keys comes first. Where it is several keyspaces, the server merges their stretches of the index in order.
 */
export const LISTING_INDEXES: readonly {
  readonly index: string;
  readonly serves: (filter: KeyFilter) => boolean;
}[] = [
  { index: 'by_display_prefix', serves: ({ displayPrefix }) => displayPrefix !== undefined },
  {
    index: 'by_keyspace_owner',
    serves: ({ owner, ...filter }) => owner !== undefined && isWithinFew(filter),
  },
  { index: 'by_owner', serves: ({ owner }) => owner !== undefined },
  {
    index: 'by_keyspace_project',
    serves: ({ project, ...filter }) => project !== undefined && isWithinFew(filter),
  },
  { index: 'by_project', serves: ({ project }) => project !== undefined },
  { index: 'by_keyspace', serves: isWithinFew },
  { index: 'by_time', serves: () => true },
];

/** MongoDB merges this many stretches of an index in order, by its own setting; beyond it would read and sort them all. */
const MERGED_KEYSPACES = 200;

function isWithinFew({ keyspaces }: KeyFilter): boolean {
  return keyspaces !== undefined && keyspaces.length <= MERGED_KEYSPACES;
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
