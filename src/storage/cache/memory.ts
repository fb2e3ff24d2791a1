/**
 * A store with its secrets, keys, owners and keyspaces in memory, and with copies that replicas share behind it. It is a
 * KeyStore itself and keeps every promise of one, for as long as its lease says that no change by others goes unseen
 * (coherence/replica.ts); without the lease each read goes to the store, and memory does only where the store cannot answer
 * and the keyspace says so.
 *
 * What a write may have changed is dropped once the write has ended, however it ended: a rejected one may have been
 * done, and one that was refused tells that memory is older than the store. Between its being done and the drop,
 * callers may still be given the older record: the write has not returned yet. What was written is not put into memory
 * but read when asked for, so that only loads fill it and one rule covers them all (see records.ts).
 */

import type { Key, Secret } from '../../domain/key.ts';
import { type CachePolicy, cachePolicy, type Keyspace, type Registry } from '../../domain/keyspace.ts';
import type { OwnerRecord } from '../../domain/owner.ts';
import { RESERVED_KEYSPACE } from '../../domain/permissions.ts';
import type { RequestName, RequestRecord } from '../../domain/request.ts';
import type {
  GenerationRecord,
  KeyFilter,
  KeyPage,
  KeyStore,
  OwnerFilter,
  OwnerPosition,
  UnpublishedRecord,
  UsageBatch,
  UsageIncrement,
} from '../key-store.ts';
import { Lookups } from '../lookups.ts';
import { StoreAbsence } from './absence.ts';
import { MemoryRecords } from './known.ts';
import { ALL, type KnownOwner, keyspaceOf, recordName, secretName } from './names.ts';
import { type Ages, RecordCache } from './records.ts';
import type { Lease, RecordName, SharedRecord, SharedRecords } from './shared.ts';
import { UnleasedReads } from './unleased.ts';

export interface CacheSizes {
  /** In characters of JSON; a record in memory takes about four bytes for each. */
  readonly secrets: number;
  readonly keys: number;
  readonly owners: number;
}

export interface CacheParts {
  readonly sizes: CacheSizes;
  readonly lease: Lease;
  /** Absent: there is no Redis. */
  readonly shared?: SharedRecords;
}

export class CachedKeyStore implements KeyStore {
  /** Each with its `hits`, `shared` and `misses`. */
  readonly secrets: RecordCache<Secret>;
  readonly keys: RecordCache<Key>;
  readonly owners: RecordCache<KnownOwner>;
  readonly keyspaces: RecordCache<readonly Keyspace[]>;
  readonly known: MemoryRecords;
  readonly #inner: KeyStore;
  readonly #lease: Lease;
  readonly #shared: SharedRecords | undefined;
  /** With its `asked` and `kept`. */
  readonly unleased: UnleasedReads;
  readonly #absence: StoreAbsence;
  #closed = false;
  /** Of each keyspace, and the list that they were taken from. */
  #policies: ReadonlyMap<string, CachePolicy> = new Map();
  #policiesOf: readonly Keyspace[] | undefined;
  readonly #lookups = new Lookups();

  constructor(inner: KeyStore, { sizes, lease, shared }: CacheParts) {
    this.#inner = inner;
    this.#lease = lease;
    this.#shared = shared;
    const absence = new StoreAbsence(() => inner.listKeyspaces());
    this.#absence = absence;
    this.unleased = new UnleasedReads(absence);
    const ages: Ages<{ readonly keyspace: string }> = {
      maxAge: ({ keyspace }) => this.#policy(keyspace).cacheTtl,
      absentAge: () => 0,
      partitionBound: ({ keyspace }) => this.#policy(keyspace).partitionBound,
    };
    this.secrets = new RecordCache<Secret>(
      sizes.secrets,
      {
        ...ages,
        absentAge: (name) => this.#absentAge(keyspaceOf(name)),
      },
      absence,
    );
    this.keys = new RecordCache<Key>(sizes.keys, ages, absence);
    this.owners = new RecordCache<KnownOwner>(sizes.owners, ages, absence);
    this.keyspaces = new RecordCache<readonly Keyspace[]>(
      Number.MAX_SAFE_INTEGER,
      {
        // No keyspace's own: a short one would have the list read for all the others as well. The lease keeps it true.
        maxAge: () => cachePolicy(undefined).cacheTtl,
        absentAge: () => 0,
        // Each record of a keyspace has the keyspace's own bound to keep.
        partitionBound: (all) => Math.max(0, ...all.map((one) => cachePolicy(one).partitionBound)),
      },
      absence,
    );
    this.known = new MemoryRecords(this, () => this.#lease.held && !this.#closed);
  }

  findSecret(keyspace: string, lookup: string): Promise<Secret | undefined> {
    const name = secretName(keyspace, lookup);
    // However old, and without a lease: a secret is never changed, and need not wait behind those that others make up.
    const known = this.knownSecret(keyspace, lookup);
    if (known !== undefined && !this.#lease.held) return Promise.resolve(known);
    const look = async () => known ?? this.#lookups.run(() => this.#inner.findSecret(keyspace, lookup));
    return this.#read(this.secrets, name, look);
  }

  /** A secret that is in memory. */
  knownSecret(keyspace: string, lookup: string): Secret | undefined {
    return this.#closed ? undefined : this.secrets.peek(secretName(keyspace, lookup));
  }

  getKey(id: string): Promise<Key | undefined> {
    return this.#read(this.keys, `key:${id}`, () => this.#inner.getKey(id));
  }

  async getOwner(id: string): Promise<OwnerRecord | undefined> {
    const known = await this.#read(this.owners, `owner:${id}`, async () => ({
      keyspace: keyspaceOf(`owner:${id}`),
      record: await this.#inner.getOwner(id),
    }));
    return known?.record;
  }

  /** The same array as long as no keyspace was changed: callers may remember what they made of it. */
  async listKeyspaces(): Promise<readonly Keyspace[]> {
    return (await this.#read(this.keyspaces, ALL, () => this.#inner.listKeyspaces())) ?? [];
  }

  #read<Value extends object>(
    cache: RecordCache<Value>,
    name: RecordName,
    load: () => Promise<Value | undefined>,
  ): Promise<Value | undefined> {
    if (!this.#lease.held || this.#closed) {
      return this.unleased.get(name, load, () => this.#kept(cache, name));
    }
    return cache.get(name, () => this.#load(cache, name, load));
  }

  /** What is in memory and may be given out although there is no lease. */
  #kept<Value extends object>(cache: RecordCache<Value>, name: RecordName): Value | undefined {
    const value = cache.peek(name);
    if (value === undefined || this.#closed) return undefined;
    return this.#lease.lostFor <= cache.ages.partitionBound(value) ? value : undefined;
  }

  /** Whether anything in memory may be given out: under a lease, or as a keyspace trades. */
  get answers(): boolean {
    return this.#lease.held || this.#kept(this.keyspaces, ALL) !== undefined;
  }

  /** Milliseconds for which changes of this key may have gone unseen: 0 under a lease, and where the store was asked. */
  ageOf(key: Key): number {
    return this.#lease.held || this.keys.peek(`key:${key.id}`) !== key ? 0 : this.#lease.lostFor;
  }

  async #load<Value extends object>(
    cache: RecordCache<Value>,
    name: RecordName,
    load: () => Promise<Value | undefined>,
  ): Promise<SharedRecord<Value | undefined>> {
    if (this.#shared === undefined) return { value: await load(), age: 0, shared: false };
    // What is not there is not shared: it would be there for all at any moment.
    const maxAge = (value: Value | undefined) => (value === undefined ? 0 : cache.ages.maxAge(value));
    return this.#shared.read(this.#lease.epoch, name, maxAge, load);
  }

  #policy(keyspace: string): CachePolicy {
    const all = this.keyspaces.peek(ALL);
    if (all !== this.#policiesOf) {
      this.#policiesOf = all;
      this.#policies = new Map(all?.map((one) => [one.id, cachePolicy(one)]));
    }
    return this.#policies.get(keyspace) ?? cachePolicy(undefined);
  }

  /** A root key may be known before it is added; other keys are not known to anyone before they are made. */
  #absentAge(keyspace: string): number {
    return keyspace === RESERVED_KEYSPACE ? 0 : this.#policy(keyspace).negativeTtl;
  }

  /** Forgets a record, and what is under way for it. */
  drop(name: RecordName): void {
    if (name.startsWith('key:')) this.keys.drop(name);
    else if (name.startsWith('owner:')) this.owners.drop(name);
    else if (name.startsWith('secret:')) this.secrets.drop(name);
    else this.keyspaces.drop(name);
  }

  /** Forgets everything. */
  clear(): void {
    for (const cache of [this.secrets, this.keys, this.owners, this.keyspaces]) cache.clear();
  }

  async insertKeyspace(keyspace: Keyspace): Promise<boolean> {
    try {
      return await this.#inner.insertKeyspace(keyspace);
    } finally {
      this.drop(ALL);
    }
  }

  async replaceKeyspace(next: Keyspace): Promise<boolean> {
    try {
      return await this.#inner.replaceKeyspace(next);
    } finally {
      this.drop(ALL);
    }
  }

  /** Drops loads as well: one that began before must not tell a later caller that the key is not there. */
  async insertKey(key: Key, secret: Secret): Promise<boolean> {
    try {
      return await this.#inner.insertKey(key, secret);
    } finally {
      this.drop(`key:${key.id}`);
      this.drop(secretName(secret.keyspace, secret.lookup));
    }
  }

  async insertSecret(secret: Secret): Promise<boolean> {
    try {
      return await this.#inner.insertSecret(secret);
    } finally {
      this.drop(secretName(secret.keyspace, secret.lookup));
    }
  }

  async replaceKey(next: Key): Promise<boolean> {
    try {
      return await this.#inner.replaceKey(next);
    } finally {
      this.drop(`key:${next.id}`);
    }
  }

  async insertOwner(owner: OwnerRecord): Promise<boolean> {
    try {
      return await this.#inner.insertOwner(owner);
    } finally {
      this.drop(`owner:${owner.id}`);
    }
  }

  async replaceOwner(next: OwnerRecord): Promise<boolean> {
    try {
      return await this.#inner.replaceOwner(next);
    } finally {
      this.drop(`owner:${next.id}`);
    }
  }

  async finishMarking(record: GenerationRecord, generation: number): Promise<void> {
    try {
      await this.#inner.finishMarking(record, generation);
    } finally {
      this.drop(recordName(record));
    }
  }

  /** Takes events off the record, so the copy in memory has to go. */
  async publishEvents(record: UnpublishedRecord, upTo?: number): Promise<void> {
    try {
      await this.#inner.publishEvents(record, upTo);
    } finally {
      this.drop(recordName(record));
    }
  }

  /** A closed store must not go on answering from its copies. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#absence.end();
    try {
      await this.#inner.close();
    } finally {
      this.clear();
    }
  }

  readRegistry(): Promise<Registry> {
    return this.#inner.readRegistry();
  }

  replaceRegistry(next: Registry): Promise<boolean> {
    return this.#inner.replaceRegistry(next);
  }

  readOwners(ids: readonly string[]): ReturnType<KeyStore['readOwners']> {
    return this.#inner.readOwners(ids);
  }

  listOwners(filter: OwnerFilter, after: OwnerPosition | undefined, limit: number): Promise<OwnerRecord[]> {
    return this.#inner.listOwners(filter, after, limit);
  }

  listUnmarkedOwners(limit: number): Promise<OwnerRecord[]> {
    return this.#inner.listUnmarkedOwners(limit);
  }

  listKeys(page: KeyPage): ReturnType<KeyStore['listKeys']> {
    return this.#inner.listKeys(page);
  }

  listChildren(parentKeyId: string, after: string | undefined, limit: number): Promise<Key[]> {
    return this.#inner.listChildren(parentKeyId, after, limit);
  }

  insertRequest(request: RequestRecord): Promise<boolean> {
    return this.#inner.insertRequest(request);
  }

  readRequest(id: string): Promise<RequestRecord | undefined> {
    return this.#inner.readRequest(id);
  }

  finishRequest(request: RequestName): Promise<void> {
    return this.#inner.finishRequest(request);
  }

  releaseRequest(request: RequestName): Promise<void> {
    return this.#inner.releaseRequest(request);
  }

  countKeys(filter: KeyFilter, now: number): ReturnType<KeyStore['countKeys']> {
    return this.#inner.countKeys(filter, now);
  }

  listPeppers(): Promise<string[]> {
    return this.#inner.listPeppers();
  }

  countKeysUnder(pepperId: string, now: number): Promise<number> {
    return this.#inner.countKeysUnder(pepperId, now);
  }

  listUnpublished(limit: number): Promise<UnpublishedRecord[]> {
    return this.#inner.listUnpublished(limit);
  }

  listEvents(record: UnpublishedRecord): ReturnType<KeyStore['listEvents']> {
    return this.#inner.listEvents(record);
  }

  addUsage(batch: UsageBatch, increments: readonly UsageIncrement[]): Promise<void> {
    return this.#inner.addUsage(batch, increments);
  }

  readUsage(keyIds: readonly string[]): ReturnType<KeyStore['readUsage']> {
    return this.#inner.readUsage(keyIds);
  }

  ping(): Promise<void> {
    return this.#inner.ping();
  }
}
