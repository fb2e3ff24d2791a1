/** Rows to records and back. */

import type { SQLInputValue } from 'node:sqlite';
import type { HashAlgorithm } from '../../domain/digest.ts';
import type { ChangeableRecord } from '../../domain/event.ts';
import { type Generations, generationOf } from '../../domain/generation.ts';
import type { Key, Secret, Usage } from '../../domain/key.ts';
import type { Keyspace } from '../../domain/keyspace.ts';
import type { OwnerRecord } from '../../domain/owner.ts';
import type { RequestRecord } from '../../domain/request.ts';
import type { ListedKey } from '../key-store.ts';
import { foldName, keyOf, storedRecord } from '../stored-record.ts';

type Row = Record<string, SQLInputValue>;

/** The columns that a changeable record is read from. */
export interface RecordRow {
  readonly record: string;
  /** NULL where nothing waits, so that the index of unpublished records holds only those with something to do. */
  readonly pending: string | null;
}

/** The columns that a record with generations is read from. */
export interface GenerationRow extends RecordRow {
  /** The generation whose dead keys may not be marked yet. */
  readonly unmarked: number | null;
}

export interface ListedRow extends RecordRow {
  readonly id: string;
  readonly create_time: number;
  readonly count: number | null;
  readonly last_used_time: number | null;
}

export interface SecretRow {
  readonly keyspace: string;
  readonly lookup: string;
  readonly key_id: string;
  readonly generation: string;
  readonly algorithm: HashAlgorithm;
  readonly pepper_id: string | null;
  readonly hash: string | null;
}

function recordColumns(record: ChangeableRecord): Row {
  const { pending = null, ...stored } = storedRecord(record);
  return { id: record.id, revision: record.revision, ...stored, pending };
}

export function keyColumns(key: Key): Row {
  return {
    ...recordColumns(key),
    keyspace: key.keyspace,
    create_time: key.createTime,
    update_time: key.updateTime,
    owner_kind: key.owner?.kind ?? null,
    owner_id: key.owner?.id ?? null,
    project: key.project ?? null,
    display_prefix: key.displayPrefix,
    generation: key.generation,
    disabled: key.disabled ? 1 : 0,
    expire_time: key.expireTime ?? null,
    revoke_time: key.revokeTime ?? null,
    folded_name: foldName(key.name),
    parent_key_id: key.parentKeyId ?? null,
  };
}

/** Columns of a record with generations. */
function generationColumns({
  unmarked,
  ...record
}: ChangeableRecord & Generations & { readonly updateTime: number }): Row {
  return {
    ...recordColumns(record),
    update_time: record.updateTime,
    unmarked: unmarked === undefined ? null : generationOf(record),
  };
}

export function keyspaceColumns(keyspace: Keyspace): Row {
  return generationColumns(keyspace);
}

export function ownerColumns(record: OwnerRecord): Row {
  return {
    ...generationColumns(record),
    keyspace: record.keyspace,
    owner_kind: record.owner.kind,
    owner_id: record.owner.id,
    disabled: record.disabled ? 1 : 0,
  };
}

export function secretColumns(secret: Secret): Row {
  return {
    keyspace: secret.keyspace,
    lookup: secret.lookup,
    key_id: secret.keyId,
    generation: secret.generation,
    algorithm: secret.algorithm,
    pepper_id: secret.pepperId ?? null,
    hash: secret.hash ?? null,
  };
}

export function requestColumns(request: RequestRecord): Row {
  return { id: request.id, expire_time: request.expireTime, record: JSON.stringify(request) };
}

export function secretOf(row: SecretRow): Secret {
  return {
    keyspace: row.keyspace,
    lookup: row.lookup,
    keyId: row.key_id,
    generation: row.generation,
    algorithm: row.algorithm,
    ...(row.pepper_id === null ? {} : { pepperId: row.pepper_id }),
    ...(row.hash === null ? {} : { hash: row.hash }),
  };
}

export function listedKeyOf(row: ListedRow): ListedKey {
  return { key: keyOf(row), usage: usageOf(row) };
}

function usageOf({ count, last_used_time }: ListedRow): Usage | undefined {
  return count === null || last_used_time === null ? undefined : { count, lastUsedTime: last_used_time };
}
