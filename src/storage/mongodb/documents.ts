/**
 * Records as documents, and back.
 *
 * A record is kept whole, as JSON, beside the fields that it is found by. As JSON, because metadata may have any names
 * (`$where`, `a.b`, `__proto__`), which servers, tools and drivers of MongoDB each take in their own way. Events that are not
 * published are a field of their own, so that taking them off leaves the record alone.
 */

import type { AuditEvent, ChangeableRecord } from '../../domain/event.ts';
import { type Generations, generationOf } from '../../domain/generation.ts';
import type { Key, Secret, Usage } from '../../domain/key.ts';
import type { Keyspace, Registry } from '../../domain/keyspace.ts';
import { optional } from '../../domain/optional.ts';
import type { OwnerRecord } from '../../domain/owner.ts';
import { REQUEST_TTL, type RequestRecord } from '../../domain/request.ts';
import type { UnpublishedRecord } from '../key-store.ts';
import { foldName, storedRecord } from '../stored-record.ts';

/** Every `_id` is a text, made by Gatehouse. */
interface Identified {
  readonly _id: string;
}

export interface RecordDocument extends Identified {
  readonly revision: number;
  readonly record: string;
  /** Both absent where nothing waits, so that a sparse index holds only records with something to do. */
  readonly pending?: string;
  /** Milliseconds since 1970: the record's update time. */
  readonly unpublished?: number;
}

/** A record with generations. */
export interface GenerationDocument extends RecordDocument {
  /** The generation whose dead keys may not be marked yet; absent where all are. Apart from the record, as `pending` is. */
  readonly unmarked?: number;
}

export interface OwnerDocument extends GenerationDocument {
  readonly keyspace: string;
  readonly owner_kind: string;
  readonly owner_id: string;
  readonly disabled: boolean;
}

export interface KeyDocument extends RecordDocument {
  readonly keyspace: string;
  readonly create_time: number;
  readonly owner_kind?: string;
  readonly owner_id?: string;
  /** Empty where the key is bound to none. */
  readonly project: string;
  readonly display_prefix: string;
  readonly disabled: boolean;
  readonly expire_time?: number;
  readonly revoke_time?: number;
  readonly folded_name: string;
  readonly parent_key_id?: string;
}

/** `_id` is keyspace and lookup, so that it is unique however the collection is sharded. */
export interface SecretDocument extends Identified {
  readonly key_id: string;
  readonly generation: string;
  readonly algorithm: Secret['algorithm'];
  readonly pepper_id?: string;
  readonly hash?: string;
}

/** A writer adds its batches in the order of their numbers. */
export interface AddedBatch {
  readonly writer: string;
  readonly number: number;
}

/** `_id` is the key's. */
export interface UsageDocument extends Identified {
  readonly count: number;
  readonly last_used_time: number;
  /** Of each of the last writers the batch that was added last. */
  readonly batches: readonly AddedBatch[];
}

/** `_id` is the event's. */
export interface EventDocument extends Identified {
  readonly kind: UnpublishedRecord['kind'];
  readonly record_id: string;
  readonly revision: number;
  readonly event: string;
}

export interface RequestDocument extends Identified {
  readonly fingerprint: string;
  readonly key_id: string;
  readonly done?: true;
  readonly expire_time: number;
  /** When MongoDB drops it: a day late, so that a clock that is set back does not make the id good again. */
  readonly drop_time: Date;
}

/** Single documents: the schema's version, the registry, what ping writes to, the mark of an unfinished copy. */
export interface MetaDocument extends Identified {
  readonly version?: number;
  readonly revision?: number;
  readonly record?: string;
  readonly writes?: number;
  readonly note?: string;
}

function recordDocument(changeable: ChangeableRecord & { readonly updateTime: number }): RecordDocument {
  const { record, pending } = storedRecord(changeable);
  return {
    _id: changeable.id,
    revision: changeable.revision,
    record,
    ...(pending === undefined ? {} : { pending, unpublished: changeable.updateTime }),
  };
}

export function keyDocument(key: Key): KeyDocument {
  return {
    ...recordDocument(key),
    keyspace: key.keyspace,
    create_time: key.createTime,
    ...(key.owner === undefined ? {} : { owner_kind: key.owner.kind, owner_id: key.owner.id }),
    project: key.project ?? '',
    display_prefix: key.displayPrefix,
    disabled: key.disabled,
    ...optional('expire_time', key.expireTime),
    ...optional('revoke_time', key.revokeTime),
    folded_name: foldName(key.name),
    ...optional('parent_key_id', key.parentKeyId),
  };
}

function generationDocument({
  unmarked,
  ...record
}: ChangeableRecord & Generations & { readonly updateTime: number }): GenerationDocument {
  return {
    ...recordDocument(record),
    ...optional('unmarked', unmarked === undefined ? undefined : generationOf(record)),
  };
}

export function keyspaceDocument(keyspace: Keyspace): GenerationDocument {
  return generationDocument(keyspace);
}

export function ownerDocument(record: OwnerRecord): OwnerDocument {
  return {
    ...generationDocument(record),
    keyspace: record.keyspace,
    owner_kind: record.owner.kind,
    owner_id: record.owner.id,
    disabled: record.disabled,
  };
}

export function registryDocument(registry: Registry): MetaDocument {
  return { _id: 'registry', revision: registry.revision, record: JSON.stringify(registry) };
}

export function requestDocument(request: RequestRecord): RequestDocument {
  return {
    _id: request.id,
    fingerprint: request.fingerprint,
    key_id: request.keyId,
    ...optional('done', request.done),
    expire_time: request.expireTime,
    drop_time: new Date(request.expireTime + REQUEST_TTL),
  };
}

export function requestOf(document: RequestDocument): RequestRecord {
  return {
    id: document._id,
    fingerprint: document.fingerprint,
    keyId: document.key_id,
    ...optional('done', document.done),
    expireTime: document.expire_time,
  };
}

/** An id of a keyspace holds no slash, so no two secrets share an `_id`. */
export function secretId(keyspace: string, lookup: string): string {
  return `${keyspace}/${lookup}`;
}

export function secretDocument(secret: Secret): SecretDocument {
  return {
    _id: secretId(secret.keyspace, secret.lookup),
    key_id: secret.keyId,
    generation: secret.generation,
    algorithm: secret.algorithm,
    ...optional('pepper_id', secret.pepperId),
    ...optional('hash', secret.hash),
  };
}

export function secretOf(document: SecretDocument): Secret {
  const slash = document._id.indexOf('/');
  return {
    keyspace: document._id.slice(0, slash),
    lookup: document._id.slice(slash + 1),
    keyId: document.key_id,
    generation: document.generation,
    algorithm: document.algorithm,
    ...optional('pepperId', document.pepper_id),
    ...optional('hash', document.hash),
  };
}

export function usageOf(document: UsageDocument): Usage {
  return { count: document.count, lastUsedTime: document.last_used_time };
}

export function eventDocument({ kind, id }: UnpublishedRecord, event: AuditEvent): EventDocument {
  return { _id: event.id, kind, record_id: id, revision: event.revision, event: JSON.stringify(event) };
}

export function eventOf({ event }: Pick<EventDocument, 'event'>): AuditEvent {
  return JSON.parse(event) as AuditEvent;
}
