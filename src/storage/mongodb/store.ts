/** The store of any number of processes: MongoDB, one document and one atomic write for each change. */

import type {
  AnyBulkWriteOperation,
  Collection,
  Document,
  FindCursor,
  FindOptions,
  UpdateResult,
} from 'mongodb';
import { chunksOf } from '../../domain/chunks.ts';
import type { AuditEvent } from '../../domain/event.ts';
import { storeUnavailable } from '../../domain/failure.ts';
import { isExpired, type Key, keyState, type Secret, secretAge, type Usage } from '../../domain/key.ts';
import type { Keyspace, Registry } from '../../domain/keyspace.ts';
import type { OwnerRecord } from '../../domain/owner.ts';
import { RESERVED_KEYSPACE } from '../../domain/permissions.ts';
import type { RequestName, RequestRecord } from '../../domain/request.ts';
import type {
  GenerationRecord,
  KeyCounts,
  KeyFilter,
  KeyPage,
  ListedKey,
  OwnerFilter,
  OwnerPosition,
  UnpublishedRecord,
  UsageBatch,
  UsageIncrement,
} from '../key-store.ts';
import type { Batch, MovableStore, Moved, MovedKind } from '../movable-store.ts';
import { dueEvents, keyOf, keyspaceOf, ownerOf } from '../stored-record.ts';
import type { Connection } from './connection.ts';
import {
  type AddedBatch,
  type EventDocument,
  eventDocument,
  eventOf,
  type GenerationDocument,
  type KeyDocument,
  keyDocument,
  keyspaceDocument,
  type OwnerDocument,
  ownerDocument,
  type RecordDocument,
  registryDocument,
  requestDocument,
  requestOf,
  type SecretDocument,
  secretDocument,
  secretId,
  secretOf,
  type UsageDocument,
  usageOf,
} from './documents.ts';
import { isDuplicate, isOnlyDuplicates } from './errors.ts';
import { IS_REVOKED, isActive, keyFilter } from './listing.ts';
import { batchesOf, estimateRecords, putRecords, readCopyNote, writeCopyNote } from './moving.ts';
import { find, listingQuery, QUERIES, type Query } from './queries.ts';
import type { Collections } from './schema.ts';

/** Documents that are read at one time. */
const CHUNK = 1000;
/** Ids under which the usage of one key may be: its own, and that of its previous secret. */
const ONE_KEYS_USAGE = 2;
/** Keys whose usage is written at one time, within one deadline. */
const USAGE_CHUNK = 250;
/** Processes whose last batch is remembered for each key. */
const WRITERS_KEPT = 32;
/** Only other processes that change the record make a further attempt necessary. */
const MAX_ATTEMPTS = 8;

const UNPUBLISHED_KINDS = [
  ['key', 'keys'],
  ['keyspace', 'keyspaces'],
  ['owner', 'owners'],
] as const;

/** Made by `openMongoStore`. */
export class MongoKeyStore implements MovableStore {
  readonly #database: Connection;
  /** When the reserved keyspace was made, once it was seen: nobody removes it, so another or none is another database. */
  #made: number | undefined;
  #asked: Promise<readonly Keyspace[]> | undefined;

  constructor(database: Connection) {
    this.#database = database;
  }

  async readRegistry(): Promise<Registry> {
    const document = await this.#database.within('record', (limit) =>
      this.#in.meta.findOne({ _id: 'registry' }, { ...this.#database.fresh, ...limit }),
    );
    if (document?.record === undefined)
      throw storeUnavailable(new Error('the database has lost its registry'));
    return JSON.parse(document.record) as Registry;
  }

  replaceRegistry(next: Registry): Promise<boolean> {
    return this.#replace('meta', registryDocument(next), next.revision);
  }

  /** One read for all who ask in one turn of the event loop, as the items of a batch do: it starts after they asked. */
  listKeyspaces(): Promise<readonly Keyspace[]> {
    this.#asked ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#asked = undefined;
        resolve(this.#readKeyspaces());
      });
    });
    return this.#asked;
  }

  async #readKeyspaces(): Promise<readonly Keyspace[]> {
    const documents = await this.#database.within('verify', (limit) =>
      // In one batch: what follows would not be read linearizably.
      this.#find<GenerationDocument>(QUERIES.keyspaces(), {
        ...this.#database.fresh,
        ...limit,
        batchSize: 100_000,
      }).toArray(),
    );
    const keyspaces = documents.map(keyspaceOf);
    const made = keyspaces.find(({ id }) => id === RESERVED_KEYSPACE)?.createTime;
    if (this.#made !== undefined && made !== this.#made) {
      throw storeUnavailable(new Error('the database was emptied or replaced while it was in use'));
    }
    this.#made = made;
    return keyspaces;
  }

  insertKeyspace(keyspace: Keyspace): Promise<boolean> {
    return this.#insert('keyspaces', keyspaceDocument(keyspace));
  }

  replaceKeyspace(next: Keyspace): Promise<boolean> {
    return this.#replace('keyspaces', keyspaceDocument(next), next.revision);
  }

  async getOwner(id: string): Promise<OwnerRecord | undefined> {
    const document = await this.#database.within('verify', (limit) =>
      this.#in.owners.findOne({ _id: id }, { ...this.#database.fresh, ...limit }),
    );
    return document === null ? undefined : ownerOf(document);
  }

  async readOwners(ids: readonly string[]): Promise<ReadonlyMap<string, OwnerRecord>> {
    if (ids.length === 0) return new Map();
    const documents = await this.#database.within('record', (limit) =>
      // In one batch, as in listKeyspaces.
      this.#in.owners
        .find({ _id: { $in: [...new Set(ids)] } }, { ...this.#database.fresh, ...limit, batchSize: 100_000 })
        .toArray(),
    );
    return new Map(documents.map((document) => [document._id, ownerOf(document)]));
  }

  insertOwner(owner: OwnerRecord): Promise<boolean> {
    return this.#insert('owners', ownerDocument(owner));
  }

  replaceOwner(next: OwnerRecord): Promise<boolean> {
    return this.#replace('owners', ownerDocument(next), next.revision);
  }

  async listOwners(
    filter: OwnerFilter,
    after: OwnerPosition | undefined,
    limit: number,
  ): Promise<OwnerRecord[]> {
    return this.#owners(QUERIES.owners(filter, after), limit);
  }

  async listUnmarkedOwners(limit: number): Promise<OwnerRecord[]> {
    return this.#owners(QUERIES.unmarkedOwners(), limit);
  }

  async #owners(query: Query, limit: number): Promise<OwnerRecord[]> {
    const documents = await this.#database.within('list', ({ maxTimeMS }) =>
      // In one batch, as in listKeyspaces.
      this.#find<OwnerDocument>(query, {
        ...this.#database.fresh,
        limit,
        batchSize: limit,
        maxTimeMS,
      }).toArray(),
    );
    return documents.map(ownerOf);
  }

  async finishMarking({ kind, id }: GenerationRecord, generation: number): Promise<void> {
    const records = (
      kind === 'owner' ? this.#in.owners : this.#in.keyspaces
    ) as Collection<GenerationDocument>;
    await this.#database.within('record', (limit) =>
      records.updateOne({ _id: id, unmarked: generation }, { $unset: { unmarked: true } }, limit),
    );
  }

  async findSecret(keyspace: string, lookup: string): Promise<Secret | undefined> {
    const document = await this.#database.within('verify', (limit) =>
      this.#in.secrets.findOne({ _id: secretId(keyspace, lookup) }, { ...this.#database.fresh, ...limit }),
    );
    return document === null ? undefined : secretOf(document);
  }

  async getKey(id: string): Promise<Key | undefined> {
    const document = await this.#database.within('verify', (limit) =>
      this.#in.keys.findOne({ _id: id }, { ...this.#database.fresh, ...limit }),
    );
    return document === null ? undefined : keyOf(document);
  }

  /** The secret goes first: the key is what makes it live. */
  async insertKey(key: Key, secret: Secret): Promise<boolean> {
    const document = secretDocument(secret);
    const added = await this.#insert('secrets', document);
    if (!added && !(await this.#isStored(secret))) return false;
    if (await this.#insert('keys', keyDocument(key))) return true;
    // Another process may have taken up this very secret and made the key of it.
    const taken = await this.getKey(key.id);
    if (!added || taken?.generation === key.generation) return false;
    await this.#database.within('record', (limit) =>
      this.#in.secrets.deleteOne({ _id: document._id, generation: secret.generation }, limit),
    );
    return false;
  }

  async #isStored({ keyspace, lookup, keyId, generation }: Secret): Promise<boolean> {
    const stored = await this.findSecret(keyspace, lookup);
    return stored?.keyId === keyId && stored.generation === generation;
  }

  insertSecret(secret: Secret): Promise<boolean> {
    return this.#insert('secrets', secretDocument(secret));
  }

  replaceKey(next: Key): Promise<boolean> {
    return this.#replace('keys', keyDocument(next), next.revision);
  }

  async listKeys({ filter, after, now, limit }: KeyPage): Promise<ListedKey[]> {
    if (filter.states?.length === 0) return [];
    const found: ListedKey[] = [];
    await this.#database.within('list', async ({ maxTimeMS }, late) => {
      const query = listingQuery(filter, keyFilter(filter, now, after));
      for await (const listed of this.#listed(query, filter, { limit, maxTimeMS, late })) found.push(listed);
    });
    return found;
  }

  /** Not within a list's deadline: the answer to a revocation waits for this. */
  async listChildren(parentKeyId: string, after: string | undefined, limit: number): Promise<Key[]> {
    const documents = await this.#database.within('record', ({ maxTimeMS }) =>
      // In one batch, as in listKeyspaces.
      this.#find<KeyDocument>(QUERIES.childrenOf(parentKeyId, after), {
        ...this.#database.fresh,
        limit,
        batchSize: limit,
        maxTimeMS,
      }).toArray(),
    );
    return documents.map(keyOf);
  }

  insertRequest(request: RequestRecord): Promise<boolean> {
    return this.#insert('requests', requestDocument(request));
  }

  async readRequest(id: string): Promise<RequestRecord | undefined> {
    const document = await this.#database.within('record', (limit) =>
      this.#in.requests.findOne({ _id: id }, { ...this.#database.fresh, ...limit }),
    );
    return document === null ? undefined : requestOf(document);
  }

  async finishRequest({ id, expireTime }: RequestName): Promise<void> {
    await this.#database.within('record', (limit) =>
      this.#in.requests.updateOne({ _id: id, expire_time: expireTime }, { $set: { done: true } }, limit),
    );
  }

  async releaseRequest({ id, expireTime }: RequestName): Promise<void> {
    await this.#database.within('record', (limit) =>
      this.#in.requests.deleteOne({ _id: id, expire_time: expireTime }, limit),
    );
  }

  async countKeys({ states: _, ...filter }: KeyFilter, now: number): Promise<KeyCounts> {
    return this.#database.within('list', async ({ maxTimeMS }, late) => {
      const query = listingQuery(filter, keyFilter(filter, now));
      if (!asksForUse(filter)) {
        const sums = {
          total: { $sum: 1 },
          active: { $sum: { $cond: [isActive(now), 1, 0] } },
          revoked: { $sum: { $cond: [IS_REVOKED, 1, 0] } },
        };
        const steps = [{ $match: query.filter }, { $group: { _id: null, ...sums } }];
        const [sum] = await this.#in.keys
          .aggregate(steps, { hint: query.index, maxTimeMS, ...this.#database.fresh })
          .toArray();
        return { total: sum?.total ?? 0, active: sum?.active ?? 0, revoked: sum?.revoked ?? 0 };
      }
      const counts = { total: 0, active: 0, revoked: 0 };
      for await (const { key } of this.#listed(query, filter, {
        limit: Number.MAX_SAFE_INTEGER,
        maxTimeMS,
        late,
      })) {
        counts.total++;
        const state = keyState(key, now);
        if (state === 'active' || state === 'revoked') counts[state]++;
      }
      return counts;
    });
  }

  /** The first `limit` keys of a query whose last use passes the filter, each with its usage. */
  async *#listed(
    query: Query,
    filter: KeyFilter,
    {
      limit,
      maxTimeMS,
      late,
    }: { readonly limit: number; readonly maxTimeMS: number; readonly late: AbortSignal },
  ): AsyncIterable<ListedKey> {
    let rest = limit;
    const batchSize = Math.min(limit, CHUNK);
    // What is not all wanted is fetched no further than it is read.
    const cursor = this.#find<KeyDocument>(query, { maxTimeMS, batchSize, ...this.#database.fresh });
    if (!asksForUse(filter)) cursor.limit(limit);
    for await (const documents of chunksOf(cursor, batchSize)) {
      // Nobody waits any more: what is left of a million keys is not read for nothing.
      late.throwIfAborted();
      const usage = await this.#usageOf(
        documents.map(({ _id }) => _id),
        maxTimeMS,
      );
      for (const document of documents) {
        const listed = { key: keyOf(document), usage: usage.get(document._id) };
        if (!wasUsedWithin(listed.usage, filter)) continue;
        yield listed;
        if (--rest === 0) return;
      }
    }
  }

  async listPeppers(): Promise<string[]> {
    return this.#database.within('whole', (limit) => this.#valuesOf('pepper_id', QUERIES.peppers(), limit));
  }

  async countKeysUnder(pepperId: string, now: number): Promise<number> {
    return this.#database.within('whole', async (limit) => {
      const found = new Set<string>();
      const secrets = this.#find<SecretDocument>(QUERIES.secretsUnder(pepperId), {
        ...limit,
        batchSize: CHUNK,
      });
      for await (const chunk of chunksOf(secrets, CHUNK)) {
        const ids = [...new Set(chunk.map((secret) => secret.key_id))];
        const documents = await this.#in.keys.find({ _id: { $in: ids } }, limit).toArray();
        const keys = new Map(documents.map(keyOf).map((key) => [key.id, key]));
        for (const { key_id, generation } of chunk) {
          const key = keys.get(key_id);
          if (key === undefined || key.revokeTime !== undefined || isExpired(key, now)) continue;
          if (secretAge(key, generation, now) !== undefined) found.add(key.id);
        }
      }
      return found.size;
    });
  }

  async listUnpublished(limit: number): Promise<UnpublishedRecord[]> {
    const found = await this.#database.within('list', ({ maxTimeMS }) =>
      Promise.all(
        UNPUBLISHED_KINDS.map(([, collection]) =>
          this.#find<RecordDocument>(QUERIES.unpublished(collection), { limit, maxTimeMS })
            .project<Pick<RecordDocument, '_id' | 'unpublished'>>({ unpublished: 1 })
            .toArray(),
        ),
      ),
    );
    return UNPUBLISHED_KINDS.flatMap(
      ([kind], index) =>
        found[index]?.map(({ _id, unpublished = 0 }) => ({ kind, id: _id, unpublished })) ?? [],
    )
      .sort((one, other) => one.unpublished - other.unpublished)
      .slice(0, limit)
      .map(({ kind, id }) => ({ kind, id }));
  }

  async publishEvents(record: UnpublishedRecord, upTo = Number.POSITIVE_INFINITY): Promise<void> {
    const records = this.#in[`${record.kind}s`];
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const done = await this.#database.within('record', async (limit) => {
        const stored = await (records as Collection<RecordDocument>).findOne(
          { _id: record.id },
          { ...this.#database.fresh, ...limit },
        );
        const [due, later] = dueEvents(stored?.pending, upTo);
        if (stored === null || due.length === 0) return true;
        await this.#addEvents(record, due, limit);
        // Only what was read, and so copied: a record of another revision may carry more.
        const { matchedCount } = await (records as Collection<RecordDocument>).updateOne(
          { _id: record.id, revision: stored.revision },
          later === undefined
            ? { $unset: { pending: true, unpublished: true } }
            : { $set: { pending: later } },
          limit,
        );
        return matchedCount === 1;
      });
      if (done) return;
    }
    // Whoever kept changing the record publishes what is left.
  }

  async #addEvents(
    record: UnpublishedRecord,
    events: readonly AuditEvent[],
    limit: { readonly maxTimeMS: number },
  ): Promise<void> {
    try {
      const documents = events.map((event) => eventDocument(record, event));
      await this.#in.events.insertMany(documents, { ordered: false, ...limit });
    } catch (error) {
      // Those that are there were published before.
      if (!isOnlyDuplicates(error)) throw error;
    }
  }

  async listEvents(record: UnpublishedRecord): Promise<AuditEvent[]> {
    const documents = await this.#database.within('list', (limit) =>
      this.#find<EventDocument>(QUERIES.eventsOf(record), limit).toArray(),
    );
    return documents.map(eventOf);
  }

  /**
   * Each key's document keeps the last batch of each process that used it, so that a batch of which nobody knows how far it
   * got can be repeated.
   */
  async addUsage(batch: UsageBatch, increments: readonly UsageIncrement[]): Promise<void> {
    const sums = [...sumsByKey(increments).values()];
    for (let start = 0; start < sums.length; start += USAGE_CHUNK) {
      const chunk = sums.slice(start, start + USAGE_CHUNK);
      await this.#database.within('list', async (limit) => {
        const add = async () => {
          const { matchedCount } = await this.#in.usage.bulkWrite(
            chunk.map((one) => addition(batch, one)),
            {
              ordered: false,
              ...limit,
            },
          );
          return matchedCount === chunk.length;
        };
        if (await add()) return;
        // Keys that were never used yet, or were counted by an earlier try.
        await this.#in.usage.bulkWrite(chunk.map(newUsage), { ordered: false, ...limit });
        await add();
      });
    }
  }

  async readUsage(keyIds: readonly string[]): Promise<ReadonlyMap<string, Usage>> {
    // That of one key has no list's deadline: the answers to its changes wait for it.
    const deadline = keyIds.length <= ONE_KEYS_USAGE ? 'record' : 'list';
    return this.#database.within(deadline, ({ maxTimeMS }) => this.#usageOf(keyIds, maxTimeMS));
  }

  async #usageOf(keyIds: readonly string[], maxTimeMS: number): Promise<Map<string, Usage>> {
    if (keyIds.length === 0) return new Map();
    const [only] = keyIds;
    // One is the common case, and goes by the straightest way.
    const _id = keyIds.length === 1 && only !== undefined ? only : { $in: [...keyIds] };
    const documents = await this.#in.usage.find({ _id }, { maxTimeMS }).toArray();
    return new Map(documents.filter(({ count }) => count > 0).map((one) => [one._id, usageOf(one)]));
  }

  batches<Kind extends MovedKind>(kind: Kind, after?: string): AsyncIterable<Batch<Kind>> {
    return batchesOf(this.#database, kind, after);
  }

  estimateRecords(): Promise<Record<MovedKind, number>> {
    return estimateRecords(this.#database);
  }

  putRecords<Kind extends MovedKind>(kind: Kind, records: readonly Moved[Kind][]): Promise<void> {
    return putRecords(this.#database, kind, records);
  }

  readCopyNote(): Promise<string | undefined> {
    return readCopyNote(this.#database);
  }

  writeCopyNote(note: string | undefined, before: string | undefined): Promise<boolean> {
    return writeCopyNote(this.#database, note, before);
  }

  async ping(): Promise<void> {
    const { matchedCount } = await this.#database.within('record', (limit) =>
      this.#in.meta.updateOne({ _id: 'probe' }, { $inc: { writes: 1 } }, limit),
    );
    if (matchedCount === 0) throw storeUnavailable(new Error('the database was emptied or replaced'));
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  get #in(): Collections {
    return this.#database.collections;
  }

  #find<D extends Document>(query: Query, options: FindOptions): FindCursor<D> {
    return find<D>(this.#in, query, options);
  }

  /** Each value of a text field once. Not `distinct`: that takes an index by name only from MongoDB 7.1 on. */
  async #valuesOf(
    field: string,
    { collection, index, filter }: Query,
    limit: { readonly maxTimeMS: number },
  ): Promise<string[]> {
    const steps = [{ $match: filter }, { $group: { _id: `$${field}` } }];
    const options = { hint: index, ...limit };
    const found = await (this.#in[collection] as unknown as Collection<Document>)
      .aggregate<{ readonly _id: string }>(steps, options)
      .toArray();
    return found.map(({ _id }) => _id);
  }

  async #insert<N extends keyof Collections>(
    collection: N,
    document: Collections[N] extends Collection<infer D> ? D : never,
  ): Promise<boolean> {
    return this.#database.within('record', async (limit) => {
      try {
        await (this.#in[collection] as unknown as Collection<Document>).insertOne(document, limit);
        return true;
      } catch (error) {
        if (isDuplicate(error)) return false;
        throw error;
      }
    });
  }

  /** Compare-and-set: `replaceOne` finds by `_id` and looks at the revision in the same step. */
  async #replace<N extends keyof Collections>(
    collection: N,
    document: Collections[N] extends Collection<infer D> ? D & { readonly _id: string } : never,
    revision: number,
  ): Promise<boolean> {
    return this.#database.within('record', async (limit) => {
      const { matchedCount } = (await (
        this.#in[collection] as unknown as Collection<RecordDocument>
      ).replaceOne(
        { _id: document._id, revision: revision - 1 },
        document as unknown as RecordDocument,
        limit,
      )) as UpdateResult;
      return matchedCount === 1;
    });
  }
}

function asksForUse({ lastUsedAfter, lastUsedBefore }: KeyFilter): boolean {
  return lastUsedAfter !== undefined || lastUsedBefore !== undefined;
}

/** A key that was never used is in no range with a lower bound, and before any other. */
function wasUsedWithin(usage: Usage | undefined, { lastUsedAfter, lastUsedBefore }: KeyFilter): boolean {
  if (usage === undefined) return lastUsedAfter === undefined;
  return (
    usage.lastUsedTime >= (lastUsedAfter ?? 0) &&
    usage.lastUsedTime < (lastUsedBefore ?? Number.POSITIVE_INFINITY)
  );
}

function sumsByKey(increments: readonly UsageIncrement[]): Map<string, UsageIncrement> {
  const sums = new Map<string, UsageIncrement>();
  for (const { keyId, count, lastUsedTime } of increments) {
    const sum = sums.get(keyId);
    sums.set(keyId, {
      keyId,
      count: count + (sum?.count ?? 0),
      lastUsedTime: Math.max(lastUsedTime, sum?.lastUsedTime ?? 0),
    });
  }
  return sums;
}

function addition(
  batch: UsageBatch,
  { keyId, count, lastUsedTime }: UsageIncrement,
): AnyBulkWriteOperation<UsageDocument> {
  const colon = batch.indexOf(':');
  const added: AddedBatch = { writer: batch.slice(0, colon), number: Number(batch.slice(colon + 1)) };
  const others = { $filter: { input: '$batches', cond: { $ne: ['$$this.writer', added.writer] } } };
  return {
    updateOne: {
      // Nor an earlier one: the first try of a batch may come through when its writer is far beyond it.
      filter: {
        _id: keyId,
        batches: { $not: { $elemMatch: { writer: added.writer, number: { $gte: added.number } } } },
      },
      update: [
        {
          $set: {
            count: { $add: ['$count', count] },
            last_used_time: { $max: ['$last_used_time', lastUsedTime] },
            batches: { $slice: [{ $concatArrays: [others, [{ $literal: added }]] }, -WRITERS_KEPT] },
          },
        },
      ],
    },
  };
}

function newUsage({ keyId }: UsageIncrement): AnyBulkWriteOperation<UsageDocument> {
  const $setOnInsert = { count: 0, last_used_time: 0, batches: [] };
  return { updateOne: { filter: { _id: keyId }, update: { $setOnInsert }, upsert: true } };
}
