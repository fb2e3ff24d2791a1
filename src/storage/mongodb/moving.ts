/** What a copy reads and writes here. Each kind is read with one cursor, in the order of `_id`. */

import type { AnyBulkWriteOperation, BulkWriteOptions, Collection, Document } from 'mongodb';
import { movedRegistry, type Registry } from '../../domain/keyspace.ts';
import { BATCH, type Batch, type Moved, type MovedKind } from '../movable-store.ts';
import { keyOf, keyspaceOf, ownerOf } from '../stored-record.ts';
import { type Connection, durable } from './connection.ts';
import {
  type EventDocument,
  eventDocument,
  eventOf,
  type GenerationDocument,
  keyDocument,
  keyspaceDocument,
  type MetaDocument,
  ownerDocument,
  type RecordDocument,
  type RequestDocument,
  registryDocument,
  requestDocument,
  requestOf,
  type SecretDocument,
  secretDocument,
  secretOf,
  type UsageDocument,
  usageOf,
} from './documents.ts';
import { duplicatesOf, isDuplicate } from './errors.ts';
import { find, QUERIES } from './queries.ts';
import type { Collections } from './schema.ts';

interface Stored extends Document {
  readonly _id: string;
}

/** How a kind is kept. */
interface Kept<Kind extends MovedKind> {
  readonly collection: keyof Collections;
  /** What in the collection is of the kind. */
  readonly filter: Document;
  recordOf(document: Stored): Moved[Kind];
  documentOf(record: Moved[Kind]): Stored;
}

const KEPT: { readonly [Kind in MovedKind]: Kept<Kind> } = {
  registry: {
    collection: 'meta',
    filter: { _id: 'registry' },
    recordOf: ({ record }: MetaDocument) => movedRegistry(JSON.parse(record ?? '') as Registry),
    documentOf: registryDocument,
  },
  keyspace: {
    collection: 'keyspaces',
    filter: {},
    recordOf: (document) => keyspaceOf(document as unknown as GenerationDocument),
    documentOf: keyspaceDocument,
  },
  owner: {
    collection: 'owners',
    filter: {},
    recordOf: (document) => ownerOf(document as unknown as GenerationDocument),
    documentOf: ownerDocument,
  },
  key: {
    collection: 'keys',
    filter: {},
    recordOf: (document) => keyOf(document as unknown as RecordDocument),
    documentOf: keyDocument,
  },
  secret: {
    collection: 'secrets',
    filter: {},
    recordOf: (document) => secretOf(document as unknown as SecretDocument),
    documentOf: secretDocument,
  },
  usage: {
    collection: 'usage',
    // Made and not yet counted in: the key was never used as far as anybody may know.
    filter: { count: { $gt: 0 } },
    recordOf: (document) => ({ keyId: document._id, ...usageOf(document as unknown as UsageDocument) }),
    // The names of batches stay behind: nobody repeats one to another store.
    documentOf: ({ keyId, count, lastUsedTime }) => ({
      _id: keyId,
      count,
      last_used_time: lastUsedTime,
      batches: [],
    }),
  },
  event: {
    collection: 'events',
    filter: {},
    recordOf(document) {
      const stored = document as unknown as EventDocument;
      return { record: { kind: stored.kind, id: stored.record_id }, event: eventOf(stored) };
    },
    documentOf: ({ record, event }) => eventDocument(record, event),
  },
  request: {
    collection: 'requests',
    filter: {},
    recordOf: (document) => requestOf(document as unknown as RequestDocument),
    documentOf: requestDocument,
  },
};

/** A position is an `_id`. */
export async function* batchesOf<Kind extends MovedKind>(
  database: Connection,
  kind: Kind,
  after?: string,
): AsyncIterable<Batch<Kind>> {
  const { collection, filter, recordOf } = KEPT[kind];
  const cursor = find<Stored>(database.collections, QUERIES.moved(collection, filter, after), {
    batchSize: BATCH,
    maxTimeMS: database.deadlines.whole,
  });
  try {
    while (await database.within('batch', () => cursor.hasNext())) {
      const documents = cursor.readBufferedDocuments();
      const last = documents.at(-1);
      if (last !== undefined) yield { records: documents.map(recordOf), position: last._id };
    }
  } finally {
    // Of a server that is away nobody needs to be told.
    await cursor.close().catch(() => undefined);
  }
}

/** From what the server remembers of its collections, without counting. */
export async function estimateRecords(database: Connection): Promise<Record<MovedKind, number>> {
  return database.within('list', async (limit) => {
    const count = (kind: MovedKind) =>
      database.collections[KEPT[kind].collection].estimatedDocumentCount(limit);
    const [keyspace, owner, key, secret, usage, event, request] = await Promise.all([
      count('keyspace'),
      count('owner'),
      count('key'),
      count('secret'),
      count('usage'),
      count('event'),
      count('request'),
    ]);
    return { registry: 1, keyspace, owner, key, secret, usage, event, request };
  });
}

/**
 * By insertion, for almost all of them are new, and finding that out takes a server longer than to insert. What is there
 * was put by the run that was interrupted, and is replaced.
 */
export async function putRecords<Kind extends MovedKind>(
  database: Connection,
  kind: Kind,
  records: readonly Moved[Kind][],
): Promise<void> {
  if (records.length === 0) return;
  const { collection, documentOf } = KEPT[kind];
  const target = database.collections[collection] as unknown as Collection<Stored>;
  const documents = records.map(documentOf);
  await database.within('batch', async (limit) => {
    const options = { ordered: false, writeConcern: durable(database.deadlines.batch), ...limit };
    const present = await insertNew(target, documents, options);
    if (present.length > 0) await target.bulkWrite(present.map(replacement), options);
  });
}

/** @returns those whose `_id` is taken. */
async function insertNew(
  target: Collection<Stored>,
  documents: readonly Stored[],
  options: BulkWriteOptions,
): Promise<Stored[]> {
  try {
    await target.insertMany(documents, options);
    return [];
  } catch (error) {
    const taken = new Set(duplicatesOf(error));
    return documents.filter((_, index) => taken.has(index));
  }
}

/** Never a record that was changed since: a copy that was given up and wakes must not undo a revocation. */
function replacement(document: Stored): AnyBulkWriteOperation<Stored> {
  const { _id, revision } = document;
  const newer = revision === undefined ? {} : { $nor: [{ revision: { $gt: revision } }] };
  return { replaceOne: { filter: { _id, ...newer }, replacement: document } };
}

const NOTE = 'copy';

export async function readCopyNote(database: Connection): Promise<string | undefined> {
  const document = await database.within('record', (limit) =>
    database.collections.meta.findOne({ _id: NOTE }, { ...database.fresh, ...limit }),
  );
  return document?.note;
}

/** The document of a copy that is done stays, without a note: who was late finds it, and writes nothing. */
export async function writeCopyNote(
  database: Connection,
  note: string | undefined,
  before: string | undefined,
): Promise<boolean> {
  const { meta } = database.collections;
  return database.within('batch', async (limit) => {
    const options = { writeConcern: durable(database.deadlines.batch), ...limit };
    if (before === undefined && note !== undefined) {
      try {
        await meta.insertOne({ _id: NOTE, note }, options);
        return true;
      } catch (error) {
        if (isDuplicate(error)) return false;
        throw error;
      }
    }
    const after = note === undefined ? {} : { note };
    return (await meta.replaceOne({ _id: NOTE, note: before ?? '' }, after, options)).matchedCount === 1;
  });
}
