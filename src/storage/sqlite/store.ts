/**
 * The store of a single process: SQLite, in a file or in memory.
 *
 * SQLite works on the calling thread: a read is done when its method returns the promise, writes go together with those
 * of the same turn (write-queue.ts), and no two ever run at once, so that nothing here needs a further lock.
 */

import type { AuditEvent } from '../../domain/event.ts';
import type { Key, Secret, Usage } from '../../domain/key.ts';
import type { Keyspace, Registry } from '../../domain/keyspace.ts';
import type { OwnerRecord } from '../../domain/owner.ts';
import { REQUEST_TTL, type RequestName, type RequestRecord } from '../../domain/request.ts';
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
import { countQuery, listQuery, needsKeyspace, type OneFilter } from './listing.ts';
import { batchesOf, estimateRecords, putRecords, readCopyNote, writeCopyNote } from './moving.ts';
import { ownerPage } from './owners.ts';
import {
  type GenerationRow,
  keyColumns,
  keyspaceColumns,
  type ListedRow,
  listedKeyOf,
  ownerColumns,
  type RecordRow,
  requestColumns,
  type SecretRow,
  secretColumns,
  secretOf,
} from './records.ts';

const REPLACE_PENDING = {
  key: 'replaceKeyPending',
  keyspace: 'replaceKeyspacePending',
  owner: 'replaceOwnerPending',
} as const;

/** Made by `openSqliteStore`. */
export class SqliteKeyStore implements MovableStore {
  readonly #file: Connection;

  constructor(file: Connection) {
    this.#file = file;
  }

  async readRegistry(): Promise<Registry> {
    return this.#file.reading(() => {
      const row = this.#file.first<{ record: string }>('readRegistry');
      if (row === undefined) throw new Error('the data file has lost its registry');
      return JSON.parse(row.record) as Registry;
    });
  }

  async replaceRegistry(next: Registry): Promise<boolean> {
    const columns = { revision: next.revision, record: JSON.stringify(next) };
    return this.#file.writing(() => this.#file.runNamed('replaceRegistry', columns));
  }

  async listKeyspaces(): Promise<readonly Keyspace[]> {
    return this.#file.reading(() => this.#file.rows<GenerationRow>('listKeyspaces').map(keyspaceOf));
  }

  async insertKeyspace(keyspace: Keyspace): Promise<boolean> {
    return this.#file.writing(() => this.#file.runNamed('insertKeyspace', keyspaceColumns(keyspace)));
  }

  async replaceKeyspace(next: Keyspace): Promise<boolean> {
    return this.#file.writing(() => this.#file.runNamed('replaceKeyspace', keyspaceColumns(next)));
  }

  async getOwner(id: string): Promise<OwnerRecord | undefined> {
    return this.#file.reading(() => this.#owner(id));
  }

  #owner(id: string): OwnerRecord | undefined {
    const row = this.#file.first<GenerationRow>('getOwner', id);
    return row === undefined ? undefined : ownerOf(row);
  }

  async readOwners(ids: readonly string[]): Promise<ReadonlyMap<string, OwnerRecord>> {
    return this.#file.reading(() => {
      const owners = ids.map((id) => this.#owner(id)).filter((owner) => owner !== undefined);
      return new Map(owners.map((owner) => [owner.id, owner]));
    });
  }

  async insertOwner(owner: OwnerRecord): Promise<boolean> {
    return this.#file.writing(() => this.#file.runNamed('insertOwner', ownerColumns(owner)));
  }

  async replaceOwner(next: OwnerRecord): Promise<boolean> {
    return this.#file.writing(() => this.#file.runNamed('replaceOwner', ownerColumns(next)));
  }

  async listOwners(
    filter: OwnerFilter,
    after: OwnerPosition | undefined,
    limit: number,
  ): Promise<OwnerRecord[]> {
    return this.#file.reading(() => ownerPage(this.#file, filter, after, limit).map(ownerOf));
  }

  async listUnmarkedOwners(limit: number): Promise<OwnerRecord[]> {
    return this.#file.reading(() => this.#file.rows<GenerationRow>('listUnmarkedOwners', limit).map(ownerOf));
  }

  async finishMarking({ kind, id }: GenerationRecord, generation: number): Promise<void> {
    // Marked again by the next sweep where it is lost: there is nothing to mark then.
    await this.#file.writingUnsynced(() =>
      this.#file.run(kind === 'owner' ? 'markedOwner' : 'markedKeyspace', id, generation),
    );
  }

  async findSecret(keyspace: string, lookup: string): Promise<Secret | undefined> {
    return this.#file.reading(() => {
      const row = this.#file.first<SecretRow>('findSecret', keyspace, lookup);
      return row === undefined ? undefined : secretOf(row);
    });
  }

  async getKey(id: string): Promise<Key | undefined> {
    return this.#file.reading(() => {
      const row = this.#file.first<RecordRow>('getKey', id);
      return row === undefined ? undefined : keyOf(row);
    });
  }

  async insertKey(key: Key, secret: Secret): Promise<boolean> {
    return this.#file.writing(
      () =>
        this.#file.runNamed('insertFirstSecret', secretColumns(secret)) &&
        this.#file.runNamed('insertKey', keyColumns(key)),
    );
  }

  async insertSecret(secret: Secret): Promise<boolean> {
    return this.#file.writing(() => this.#file.runNamed('insertSecret', secretColumns(secret)));
  }

  async replaceKey(next: Key): Promise<boolean> {
    return this.#file.writing(() => this.#file.runNamed('replaceKey', keyColumns(next)));
  }

  async listKeys({ filter, after, now, limit }: KeyPage): Promise<ListedKey[]> {
    return this.#file.reading(() => {
      // SQLite sees that nothing is IN () and then finds no use for the index that the text names.
      const filters = filter.states?.length === 0 ? [] : this.#perKeyspace(filter);
      const rows = filters.flatMap((one) => this.#file.query<ListedRow>(listQuery(one, after, now, limit)));
      // Each keyspace's rows are in order and the first `limit` of all are among them.
      if (filters.length > 1) rows.sort(newestFirst).splice(limit);
      return rows.map(listedKeyOf);
    });
  }

  async listChildren(parentKeyId: string, after: string | undefined, limit: number): Promise<Key[]> {
    return this.#file.reading(() =>
      this.#file.rows<RecordRow>('listChildren', parentKeyId, after ?? '', limit).map(keyOf),
    );
  }

  async insertRequest(request: RequestRecord): Promise<boolean> {
    return this.#file.writing(() => {
      this.#file.run('dropRequests', request.expireTime - 2 * REQUEST_TTL);
      return this.#file.runNamed('insertRequest', requestColumns(request));
    });
  }

  async readRequest(id: string): Promise<RequestRecord | undefined> {
    return this.#file.reading(() => {
      const row = this.#file.first<{ record: string }>('readRequest', id);
      return row === undefined ? undefined : (JSON.parse(row.record) as RequestRecord);
    });
  }

  async finishRequest({ id, expireTime }: RequestName): Promise<void> {
    await this.#file.writing(() => this.#file.run('finishRequest', id, expireTime));
  }

  async releaseRequest({ id, expireTime }: RequestName): Promise<void> {
    await this.#file.writing(() => this.#file.run('releaseRequest', id, expireTime));
  }

  async countKeys(filter: KeyFilter, now: number): Promise<KeyCounts> {
    return this.#file.reading(() => {
      const counts = this.#perKeyspace(filter).flatMap((one) =>
        this.#file.query<KeyCounts>(countQuery(one, now)),
      );
      return {
        total: counts.reduce((sum, { total }) => sum + total, 0),
        active: counts.reduce((sum, { active }) => sum + active, 0),
        revoked: counts.reduce((sum, { revoked }) => sum + revoked, 0),
      };
    });
  }

  /** The filter as filters on one keyspace each, or on none where one index serves all keyspaces in order. */
  #perKeyspace({ keyspaces, ...rest }: KeyFilter): OneFilter[] {
    if (keyspaces !== undefined) return [...new Set(keyspaces)].map((keyspace) => ({ ...rest, keyspace }));
    if (!needsKeyspace(rest)) return [rest];
    const rows = this.#file.rows<{ keyspace: string }>('keyspacesWithKeys');
    return rows.map(({ keyspace }) => ({ ...rest, keyspace }));
  }

  async listPeppers(): Promise<string[]> {
    return this.#file.reading(() =>
      this.#file.rows<{ pepper_id: string }>('listPeppers').map((row) => row.pepper_id),
    );
  }

  async countKeysUnder(pepperId: string, now: number): Promise<number> {
    return this.#file.reading(
      () => this.#file.first<{ keys: number }>('countKeysUnder', pepperId, now, now)?.keys ?? 0,
    );
  }

  async listUnpublished(limit: number): Promise<UnpublishedRecord[]> {
    return this.#file.reading(() => {
      const rows = this.#file.rows<UnpublishedRecord>('listUnpublished', limit);
      return rows.map(({ kind, id }) => ({ kind, id }));
    });
  }

  async publishEvents({ kind, id }: UnpublishedRecord, upTo = Number.POSITIVE_INFINITY): Promise<void> {
    // Published again by the next sweep where it is lost.
    await this.#file.writingUnsynced(() => {
      const row = this.#file.first<{ pending: string | null }>(`${kind}Pending`, id);
      const [due, later] = dueEvents(row?.pending, upTo);
      for (const event of due) {
        this.#file.run('insertEvent', event.id, kind, id, event.revision, JSON.stringify(event));
      }
      if (due.length === 0) return false;
      return this.#file.run(REPLACE_PENDING[kind], later ?? null, id);
    });
  }

  async listEvents({ kind, id }: UnpublishedRecord): Promise<AuditEvent[]> {
    return this.#file.reading(() => {
      const rows = this.#file.rows<{ event: string }>('listEvents', kind, id);
      return rows.map(({ event }) => JSON.parse(event) as AuditEvent);
    });
  }

  // One transaction: of a call that was rejected nothing was done, so its batch's name tells nothing more.
  async addUsage(_batch: UsageBatch, increments: readonly UsageIncrement[]): Promise<void> {
    if (increments.length === 0) return;
    await this.#file.writingUnsynced(() => {
      for (const { keyId, count, lastUsedTime } of increments) {
        this.#file.run('addUsage', keyId, count, lastUsedTime);
      }
      return true;
    });
  }

  async readUsage(keyIds: readonly string[]): Promise<ReadonlyMap<string, Usage>> {
    return this.#file.reading(() => {
      const usage = new Map<string, Usage>();
      for (const id of keyIds) {
        const row = this.#file.first<{ count: number; last_used_time: number }>('readUsage', id);
        if (row !== undefined) usage.set(id, { count: row.count, lastUsedTime: row.last_used_time });
      }
      return usage;
    });
  }

  batches<Kind extends MovedKind>(kind: Kind, after?: string): AsyncIterable<Batch<Kind>> {
    return batchesOf(this.#file, kind, after);
  }

  async estimateRecords(): Promise<Record<MovedKind, number>> {
    return estimateRecords(this.#file);
  }

  putRecords<Kind extends MovedKind>(kind: Kind, records: readonly Moved[Kind][]): Promise<void> {
    return putRecords(this.#file, kind, records);
  }

  async readCopyNote(): Promise<string | undefined> {
    return readCopyNote(this.#file);
  }

  writeCopyNote(note: string | undefined, before: string | undefined): Promise<boolean> {
    return writeCopyNote(this.#file, note, before);
  }

  async ping(): Promise<void> {
    await this.#file.writing(() => this.#file.run('ping'));
  }

  async close(): Promise<void> {
    this.#file.reading(() => this.#file.close());
  }
}

function newestFirst(one: ListedRow, other: ListedRow): number {
  return other.create_time - one.create_time || (other.id > one.id ? 1 : -1);
}
