/** Keyspaces between the contract's messages and the domain's records. */

import { create } from '@bufbuild/protobuf';
import { durationFromMs, durationMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { HashAlgorithm } from '../../domain/digest.ts';
import { type Keyspace, largestDisplayLength } from '../../domain/keyspace.ts';
import { optional } from '../../domain/optional.ts';
import type { Alphabet } from '../../domain/token.ts';
import {
  Alphabet as AlphabetMessage,
  HashAlgorithm as HashMessage,
  type Keyspace as KeyspaceMessage,
  KeyspaceSchema,
  OnPartition,
  SelfServiceCaller,
} from '../../gen/gatehouse/v1/keyspace_pb.js';
import type { KeyspaceDraft } from '../../keys/keyspaces.ts';
import { notOffered } from '../refusals.ts';

const DEFAULT_DISPLAY_LENGTH = 12;

const ALPHABETS: Readonly<Record<Alphabet, AlphabetMessage>> = {
  hex: AlphabetMessage.HEX,
  base62: AlphabetMessage.BASE62,
};

const HASHES: Readonly<Record<HashAlgorithm, HashMessage>> = {
  sha256: HashMessage.SHA256,
  'hmac-sha256': HashMessage.HMAC_SHA256,
  argon2id: HashMessage.ARGON2ID,
};

export function keyspaceMessage(keyspace: Keyspace): KeyspaceMessage {
  return create(KeyspaceSchema, {
    id: keyspace.id,
    displayName: keyspace.displayName,
    prefix: keyspace.prefix,
    alphabet: ALPHABETS[keyspace.alphabet],
    secretLength: keyspace.secretLength,
    checksum: keyspace.checksum,
    hash: HASHES[keyspace.hash],
    displayLength: keyspace.displayLength,
    ...durationField('defaultTtl', keyspace.defaultTtl),
    ...durationField('maxTtl', keyspace.maxTtl),
    ...durationField('cacheTtl', keyspace.cacheTtl),
    ...durationField('negativeTtl', keyspace.negativeTtl),
    ...durationField('clientCacheTtl', keyspace.clientCacheTtl),
    keyDefaults: {
      metadata: { ...keyspace.keyDefaults.metadata },
      permissions: [...keyspace.keyDefaults.permissions],
    },
    selfServiceCallers: keyspace.selfServiceCallers.map(() => SelfServiceCaller.KEY),
    selfServicePermission: keyspace.selfServicePermission ?? '',
    selfServiceMayOutlive: keyspace.selfServiceMayOutlive,
    denyBodies: { ...keyspace.denyBodies },
    onPartition: keyspace.onPartition === 'available' ? OnPartition.AVAILABLE : OnPartition.STRICT,
    ...durationField('partitionBound', keyspace.partitionBound),
    createTime: timestampFromMs(keyspace.createTime),
    updateTime: timestampFromMs(keyspace.updateTime),
    revision: BigInt(keyspace.revision),
  });
}

/** The keyspace that a CreateKeyspace asks for; the schema has made sure of the format fields. */
export function keyspaceDraft(message: KeyspaceMessage): KeyspaceDraft {
  const format = {
    prefix: message.prefix,
    alphabet: named(ALPHABETS, message.alphabet, 'base62'),
    secretLength: message.secretLength,
    checksum: message.checksum,
    hash: named(HASHES, message.hash, 'sha256'),
  };
  return { id: message.id, ...format, ...policyOf(message, format) };
}

/** The fields of a keyspace that may change, as the message has them. */
function policyOf(
  message: KeyspaceMessage,
  format: Pick<Keyspace, 'prefix' | 'alphabet' | 'secretLength' | 'hash'>,
) {
  if (message.selfServiceCallers.includes(SelfServiceCaller.SESSION)) {
    throw notOffered('keyspace.self_service_callers: SELF_SERVICE_CALLER_SESSION');
  }
  const permission = message.selfServicePermission;
  return {
    displayName: message.displayName,
    displayLength:
      message.displayLength === 0
        ? Math.min(DEFAULT_DISPLAY_LENGTH, largestDisplayLength(format))
        : message.displayLength,
    ...optional('defaultTtl', message.defaultTtl && durationMs(message.defaultTtl)),
    ...optional('maxTtl', message.maxTtl && durationMs(message.maxTtl)),
    ...optional('cacheTtl', message.cacheTtl && durationMs(message.cacheTtl)),
    ...optional('negativeTtl', message.negativeTtl && durationMs(message.negativeTtl)),
    ...optional('clientCacheTtl', message.clientCacheTtl && durationMs(message.clientCacheTtl)),
    keyDefaults: {
      metadata: message.keyDefaults?.metadata ?? {},
      permissions: message.keyDefaults?.permissions ?? [],
    },
    selfServiceCallers: message.selfServiceCallers.map(() => 'key' as const),
    ...optional('selfServicePermission', permission === '' ? undefined : permission),
    selfServiceMayOutlive: message.selfServiceMayOutlive,
    ...optional('denyBodies', denyBodiesOf(message)),
    ...optional(
      'onPartition',
      message.onPartition === OnPartition.AVAILABLE ? ('available' as const) : undefined,
    ),
    ...optional('partitionBound', message.partitionBound && durationMs(message.partitionBound)),
  };
}

/** A Duration field, left out where nothing was decided. */
function durationField<N extends string>(name: N, ms: number | undefined) {
  return optional(name, ms === undefined ? undefined : durationFromMs(ms));
}

function denyBodiesOf({ denyBodies }: KeyspaceMessage): Keyspace['denyBodies'] {
  const entries = Object.entries(denyBodies).map(([status, { contentType, body }]) => [
    status,
    { contentType, body },
  ]);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** The keyspace with those of its fields replaced that `fields` names; an absent value takes the field away. */
export function withFields(
  keyspace: Keyspace,
  message: KeyspaceMessage,
  fields: readonly string[],
): Keyspace {
  const policy: Partial<Keyspace> = policyOf(message, keyspace);
  const next: Record<string, unknown> = { ...keyspace };
  for (const field of fields) {
    const value = policy[field as keyof Keyspace];
    if (value === undefined) delete next[field];
    else next[field] = value;
  }
  return next as unknown as Keyspace;
}

function named<N extends string, V>(table: Readonly<Record<N, V>>, value: V, fallback: N): N {
  return (Object.keys(table) as N[]).find((name) => table[name] === value) ?? fallback;
}
