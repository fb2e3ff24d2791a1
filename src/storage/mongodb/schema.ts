/** Collections and indexes of the database, and the version of what is written in them. */

import { randomBytes } from 'node:crypto';
import type { Collection, CreateIndexesOptions, Db, IndexSpecification } from 'mongodb';
import { StoreUnusable } from '../unusable.ts';
import {
  type EventDocument,
  type GenerationDocument,
  type KeyDocument,
  type MetaDocument,
  type OwnerDocument,
  type RequestDocument,
  registryDocument,
  type SecretDocument,
  type UsageDocument,
} from './documents.ts';
import { isDuplicate } from './errors.ts';

/** The version that this code reads and writes. */
export const SCHEMA_VERSION = 1;

/** Every document is found by its `_id`, so all but `meta` may be sharded by hashed `_id`. */
export interface Collections {
  readonly meta: Collection<MetaDocument>;
  readonly keyspaces: Collection<GenerationDocument>;
  readonly owners: Collection<OwnerDocument>;
  readonly keys: Collection<KeyDocument>;
  readonly secrets: Collection<SecretDocument>;
  readonly usage: Collection<UsageDocument>;
  readonly events: Collection<EventDocument>;
  readonly requests: Collection<RequestDocument>;
}

/** In the order of listings, so that no page needs sorting and each begins where the last one ended. */
export const NEWEST_FIRST = { create_time: -1, _id: -1 } as const;

/** In the order of listings of owners. */
export const BY_PLACE = { keyspace: 1, owner_kind: 1, owner_id: 1 } as const;

interface Index {
  readonly name: string;
  readonly key: Exclude<IndexSpecification, string>;
  readonly options?: CreateIndexesOptions;
}

// Holds only records with something to publish. Not compound: a compound one would hold every record.
const UNPUBLISHED: Index = { name: 'unpublished', key: { unpublished: 1 }, options: { sparse: true } };

export const INDEXES: { readonly [name in keyof Collections]: readonly Index[] } = {
  meta: [],
  keyspaces: [UNPUBLISHED],
  owners: [
    { name: 'by_place', key: BY_PLACE },
    { name: 'unmarked', key: { unmarked: 1 }, options: { sparse: true } },
    UNPUBLISHED,
  ],
  keys: [
    { name: 'by_time', key: NEWEST_FIRST },
    { name: 'by_keyspace', key: { keyspace: 1, ...NEWEST_FIRST } },
    { name: 'by_project', key: { project: 1, ...NEWEST_FIRST } },
    { name: 'by_keyspace_project', key: { keyspace: 1, project: 1, ...NEWEST_FIRST } },
    { name: 'by_display_prefix', key: { display_prefix: 1, ...NEWEST_FIRST } },
    { name: 'by_owner', key: { owner_kind: 1, owner_id: 1, ...NEWEST_FIRST } },
    { name: 'by_keyspace_owner', key: { keyspace: 1, owner_kind: 1, owner_id: 1, ...NEWEST_FIRST } },
    // Few keys were made by another. With `_id` behind, as the order of children wants it, it would hold every key.
    { name: 'by_parent', key: { parent_key_id: 1 }, options: { sparse: true } },
    UNPUBLISHED,
  ],
  secrets: [{ name: 'by_pepper', key: { pepper_id: 1 }, options: { sparse: true } }],
  usage: [],
  requests: [{ name: 'expired', key: { drop_time: 1 }, options: { expireAfterSeconds: 0 } }],
  events: [{ name: 'by_record', key: { kind: 1, record_id: 1, revision: 1 } }],
};

/** The driver knows it by each command, though its types do not: an index of many keys takes longer than silence may. */
const WHOLE = { socketTimeoutMS: 600_000 };

export function collectionsOf(database: Db): Collections {
  return {
    meta: database.collection('meta'),
    keyspaces: database.collection('keyspaces'),
    owners: database.collection('owners'),
    keys: database.collection('keys'),
    secrets: database.collection('secrets'),
    usage: database.collection('usage'),
    events: database.collection('events'),
    requests: database.collection('requests'),
  };
}

/**
 * Makes what is missing: the note of the version, the registry, the indexes. Safe for any number of processes at once,
 * and to begin again where one died.
 *
 * @param place of the database, for messages.
 * @throws StoreUnusable where the database is another program's, or was written by a newer Gatehouse.
 */
export async function prepare(collections: Collections, place: string): Promise<void> {
  const { meta } = collections;
  let version = await readVersion(collections);
  if (version === undefined) {
    await refuseForeign(collections, place);
    await insertOnce(meta, { _id: 'schema', version: SCHEMA_VERSION });
    version = (await readVersion(collections)) ?? SCHEMA_VERSION;
  }
  refuseNewer(version, place);
  if (
    (await meta.findOne({ _id: 'registry' })) === null &&
    (await collections.keyspaces.findOne({})) !== null
  ) {
    // A new one would let a second keyspace have the prefix of another, whose keys nobody would find any more.
    throw new StoreUnusable(`MongoDB at ${place} has lost its registry (meta): restore it from a backup`);
  }
  await insertOnce(meta, { _id: 'probe', writes: 0 });
  await insertOnce(
    meta,
    registryDocument({ revision: 1, prefixes: {}, macKey: randomBytes(32).toString('base64url') }),
  );
  for (const name of Object.keys(INDEXES) as (keyof Collections)[]) {
    for (const { key, options, name: index } of INDEXES[name]) {
      await collections[name].createIndex(key, { ...options, ...WHOLE, name: index });
    }
  }
}

/** As `prepare`, for a database that must be ours already: makes nothing. @throws StoreUnusable where it is not. */
export async function requireVersion(collections: Collections, place: string): Promise<void> {
  const version = await readVersion(collections);
  if (version === undefined) throw new StoreUnusable(`MongoDB at ${place} holds no store of Gatehouse`);
  refuseNewer(version, place);
}

function refuseNewer(version: number, place: string): void {
  if (version <= SCHEMA_VERSION) return;
  throw new StoreUnusable(
    `MongoDB at ${place} was written by a newer Gatehouse (schema ${version}, this one knows ${SCHEMA_VERSION})`,
  );
}

/** The version noted in the database; undefined where no Gatehouse was ever here. */
export async function readVersion({ meta }: Collections): Promise<number | undefined> {
  return (await meta.findOne({ _id: 'schema' }))?.version;
}

/** What has documents under our names, and no note of a version, is not ours to write to. */
async function refuseForeign(collections: Collections, place: string): Promise<void> {
  for (const collection of Object.values(collections) as Collections['meta'][]) {
    const foreign = await collection.findOne({ _id: { $ne: 'schema' } });
    if (foreign === null) continue;
    // Another process may have noted it meanwhile and gone on.
    if ((await readVersion(collections)) !== undefined) return;
    throw new StoreUnusable(
      `MongoDB at ${place} has a collection "${collection.collectionName}" of another program, or is what an incomplete restore left; name a database of its own`,
    );
  }
}

async function insertOnce(meta: Collections['meta'], document: MetaDocument): Promise<void> {
  try {
    await meta.insertOne(document);
  } catch (error) {
    if (!isDuplicate(error)) throw error;
  }
}
