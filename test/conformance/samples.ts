/** Records to store, each with what a case does not care about filled in. */

import type { AuditEvent } from '../../src/domain/event.ts';
import type { Key, Secret } from '../../src/domain/key.ts';
import type { Keyspace } from '../../src/domain/keyspace.ts';
import { type OwnerRecord, ownerId } from '../../src/domain/owner.ts';
import type { RequestRecord } from '../../src/domain/request.ts';
import type { KeyStore, ListedKey, UsageBatch } from '../../src/storage/key-store.ts';

/** A moment in milliseconds; times of samples are written as distances from it. */
export const T0 = 1_700_000_000_000;

let made = 0;

/** A text that no other call has given, growing in the order of ids. */
export function unique(kind: string): string {
  made += 1;
  return `${kind}_${String(made).padStart(8, '0')}`;
}

/** The name of a batch of usage that no other call has given. */
export function newBatch(): UsageBatch {
  return `${unique('writer')}:1`;
}

export function sampleKey(fields: Partial<Key> = {}): Key {
  return {
    id: unique('key'),
    revision: 1,
    pending: [],
    keyspace: 'acx',
    name: 'a key',
    displayPrefix: 'acx_9f86d081',
    permissions: ['docs:read'],
    metadata: {},
    allowedCidrs: [],
    disabled: false,
    createTime: T0,
    createdBy: 'system',
    updateTime: T0,
    generation: unique('gen'),
    ...fields,
  };
}

/** A secret that the key accepts. */
export function sampleSecret(key: Key, fields: Partial<Secret> = {}): Secret {
  return {
    keyspace: key.keyspace,
    lookup: unique('lookup'),
    keyId: key.id,
    generation: key.generation,
    algorithm: 'sha256',
    ...fields,
  };
}

export function sampleKeyspace(fields: Partial<Keyspace> = {}): Keyspace {
  const id = unique('keyspace');
  return {
    id,
    displayName: 'A keyspace',
    prefix: `${id}_`,
    alphabet: 'base62',
    secretLength: 32,
    checksum: true,
    hash: 'sha256',
    displayLength: 12,
    keyDefaults: { metadata: { team: 'one' }, permissions: ['docs:read'] },
    selfServiceCallers: ['key'],
    selfServiceMayOutlive: false,
    createTime: T0,
    updateTime: T0,
    revision: 1,
    pending: [],
    ...fields,
  };
}

/** An owner's record; its id is that of its keyspace and owner. */
export function sampleOwner({ keyspace = 'acx', owner, ...fields }: Partial<OwnerRecord> = {}): OwnerRecord {
  const whose = owner ?? { kind: 'user', id: unique('owner') };
  return {
    id: ownerId(keyspace, whose),
    keyspace,
    owner: whose,
    disabled: false,
    generation: 0,
    createTime: T0,
    updateTime: T0,
    revision: 1,
    pending: [],
    ...fields,
  };
}

export function sampleEvent(record: { readonly id: string; readonly revision: number }): AuditEvent {
  return {
    id: unique('evt'),
    time: T0,
    action: 'key.update',
    keyspace: 'acx',
    keyId: record.id,
    revision: record.revision,
    actor: 'system',
    changedFields: ['name'],
  };
}

export function sampleRequest(fields: Partial<RequestRecord> = {}): RequestRecord {
  return { id: unique('request'), fingerprint: 'f', keyId: unique('key'), expireTime: T0, ...fields };
}

/** Stores a sample key with its secret. */
export async function storeKey(store: KeyStore, fields: Partial<Key> = {}): Promise<Key> {
  const key = sampleKey(fields);
  if (!(await store.insertKey(key, sampleSecret(key)))) throw new Error('the sample key was not stored');
  return key;
}

/** The record as the next change of it would be written. */
export function changed<Record extends { readonly revision: number }>(
  record: Record,
  fields: Partial<Record>,
): Record {
  return { ...record, ...fields, revision: record.revision + 1 };
}

export function idsOf(listed: readonly ListedKey[]): string[] {
  return listed.map(({ key }) => key.id);
}

/** `count` calls begun before the first one's answer is awaited. */
export function atOnce<Answer>(count: number, call: (index: number) => Promise<Answer>): Promise<Answer[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => call(index)));
}
