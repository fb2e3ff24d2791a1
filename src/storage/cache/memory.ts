/**
 * A store with its secrets, keys, owners and keyspaces in memory. Only for a store that this process alone writes: a change
 * by anyone else would not be seen. It is a KeyStore itself and keeps every promise of one.
 *
 * What a write may have changed is dropped once the write has ended, however it ended: a rejected one may have been
 * done, and one that was refused tells that memory is older than the store. Between its being done and the drop,
 * callers may still be given the older record: the write has not returned yet. What was written is not put into memory
 * but read when asked for, so that only loads fill it and one rule covers them all (see records.ts).
 */

import type { Key, Secret } from '../../domain/key.ts';
import type { Keyspace, Registry } from '../../domain/keyspace.ts';
import type { OwnerRecord } from '../../domain/owner.ts';
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
import { RecordCache } from './records.ts';

export interface CacheSizes {
  /** In characters of JSON; a record in memory takes about four bytes for each. */
  readonly secrets: number;
  readonly keys: number;
  readonly owners: number;
}

/** What is known of an owner. That it has no record is kept as well: only owners of stored keys are asked for. */
interface KnownOwner {
  readonly id: string;
  readonly record: OwnerRecord | undefined;
}

// All keyspaces are one entry: they are few, and callers find them by what only the whole list shows.
const ALL = 'all';

export class CachedKeyStore implements KeyStore {
  /** Each with its `hits` and `misses`. */
  readonly secrets: RecordCache<Secret>;
  readonly keys: RecordCache<Key>;
  readonly owners: RecordCache<KnownOwner>;
  readonly keyspaces = new RecordCache<readonly Keyspace[]>(Number.MAX_SAFE_INTEGER);

  readonly #inner: KeyStore;

  constructor(inner: KeyStore, sizes: CacheSizes) {
    this.#inner = inner;
    this.secrets = new RecordCache(sizes.secrets);
    this.keys = new RecordCache(sizes.keys);
    this.owners = new RecordCache(sizes.owners);
  }

  findSecret(keyspace: string, lookup: string): Promise<Secret | undefined> {
    return this.secrets.get(secretKey(keyspace, lookup), () => this.#inner.findSecret(keyspace, lookup));
  }

  getKey(id: string): Promise<Key | undefined> {
    return this.keys.get(id, () => this.#inner.getKey(id));
  }

  /** The same array as long as no keyspace was changed: callers may remember what they made of it. */
  async listKeyspaces(): Promise<readonly Keyspace[]> {
    return (await this.keyspaces.get(ALL, () => this.#inner.listKeyspaces())) ?? [];
  }

  async insertKeyspace(keyspace: Keyspace): Promise<boolean> {
    try {
      return await this.#inner.insertKeyspace(keyspace);
    } finally {
      this.keyspaces.drop(ALL);
    }
  }

  async replaceKeyspace(next: Keyspace): Promise<boolean> {
    try {
      return await this.#inner.replaceKeyspace(next);
    } finally {
      this.keyspaces.drop(ALL);
    }
  }

  /** Drops loads as well: one that began before must not tell a later caller that the key is not there. */
  async insertKey(key: Key, secret: Secret): Promise<boolean> {
    try {
      return await this.#inner.insertKey(key, secret);
    } finally {
      this.keys.drop(key.id);
      this.secrets.drop(secretKey(secret.keyspace, secret.lookup));
    }
  }

  async insertSecret(secret: Secret): Promise<boolean> {
    try {
      return await this.#inner.insertSecret(secret);
    } finally {
      this.secrets.drop(secretKey(secret.keyspace, secret.lookup));
    }
  }

  async replaceKey(next: Key): Promise<boolean> {
    try {
      return await this.#inner.replaceKey(next);
    } finally {
      this.keys.drop(next.id);
    }
  }

  async getOwner(id: string): Promise<OwnerRecord | undefined> {
    const known = await this.owners.get(id, async () => ({ id, record: await this.#inner.getOwner(id) }));
    return known?.record;
  }

  async insertOwner(owner: OwnerRecord): Promise<boolean> {
    try {
      return await this.#inner.insertOwner(owner);
    } finally {
      this.owners.drop(owner.id);
    }
  }

  async replaceOwner(next: OwnerRecord): Promise<boolean> {
    try {
      return await this.#inner.replaceOwner(next);
    } finally {
      this.owners.drop(next.id);
    }
  }

  async finishMarking(record: GenerationRecord, generation: number): Promise<void> {
    try {
      await this.#inner.finishMarking(record, generation);
    } finally {
      this.#drop(record);
    }
  }

  /** Takes events off the record, so the copy in memory has to go. */
  async publishEvents(record: UnpublishedRecord): Promise<void> {
    try {
      await this.#inner.publishEvents(record);
    } finally {
      this.#drop(record);
    }
  }

  #drop({ kind, id }: UnpublishedRecord): void {
    if (kind === 'key') this.keys.drop(id);
    else if (kind === 'owner') this.owners.drop(id);
    else this.keyspaces.drop(ALL);
  }

  /** Empties memory: a closed store must not go on answering from it. */
  async close(): Promise<void> {
    try {
      await this.#inner.close();
    } finally {
      this.secrets.clear();
      this.keys.clear();
      this.owners.clear();
      this.keyspaces.clear();
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

/** A keyspace's id holds no slash, so no two secrets share a key. */
function secretKey(keyspace: string, lookup: string): string {
  return `${keyspace}/${lookup}`;
}
