/**
 * What lies between a keyspace as it is written in a file and as the server has it. The file is the whole truth:
 * a field that it leaves out goes back to its default, so that taking a line out of it takes its effect away.
 */

import { isDeepStrictEqual } from 'node:util';
import { clone, create, type DescField, type JsonObject, toJson } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { largestDisplayLength } from '../domain/keyspace.ts';
import {
  Alphabet,
  CredentialHeader,
  HashAlgorithm,
  KeyDefaultsSchema,
  type Keyspace,
  KeyspaceSchema,
  OnPartition,
} from '../gen/gatehouse/v1/keyspace_pb.js';

export interface KeyspaceDifference {
  /** Fields that are fixed at creation and differ, with both values as JSON. */
  readonly fixed: readonly { readonly field: DescField; readonly file: string; readonly server: string }[];
  /** Fields to update. */
  readonly changed: readonly DescField[];
}

const FORMAT = ['prefix', 'alphabet', 'secret_length', 'checksum', 'hash'];
const OUTPUT_ONLY = ['id', 'generation', 'create_time', 'update_time', 'revision'];
const DEFAULT_DISPLAY_LENGTH = 12;
const DEFAULT_CACHE_TTL = 300_000;
const DEFAULT_NEGATIVE_TTL = 60_000;

/** The two keyspaces must have the same id. */
export function differenceOf(file: Keyspace, server: Keyspace): KeyspaceDifference {
  const [wanted, present] = [comparable(file), comparable(server)];
  const differing = KeyspaceSchema.fields.filter(
    ({ name, jsonName }) =>
      !OUTPUT_ONLY.includes(name) && !isDeepStrictEqual(wanted[jsonName], present[jsonName]),
  );
  const written = (json: JsonObject, { jsonName }: DescField) => JSON.stringify(json[jsonName]);
  return {
    fixed: differing
      .filter(({ name }) => FORMAT.includes(name))
      .map((field) => ({ field, file: written(wanted, field), server: written(present, field) })),
    changed: differing.filter(({ name }) => !FORMAT.includes(name)),
  };
}

/** As JSON, with the defaults written in that keyspace.proto gives for what is left out. */
function comparable(keyspace: Keyspace): JsonObject {
  const full = clone(KeyspaceSchema, keyspace);
  if (full.displayLength === 0) full.displayLength = defaultDisplayLength(full);
  full.cacheTtl ??= durationFromMs(DEFAULT_CACHE_TTL);
  full.negativeTtl ??= durationFromMs(DEFAULT_NEGATIVE_TTL);
  full.clientCacheTtl ??= durationFromMs(0);
  full.keyDefaults ??= create(KeyDefaultsSchema);
  full.onPartition ||= OnPartition.STRICT;
  if (full.credentialHeaders.length === 0) {
    full.credentialHeaders = [CredentialHeader.AUTHORIZATION, CredentialHeader.X_API_KEY];
  }
  // These two are sets.
  full.credentialHeaders.sort();
  full.selfServiceCallers.sort();
  return toJson(KeyspaceSchema, full, { alwaysEmitImplicit: true }) as JsonObject;
}

function defaultDisplayLength({ prefix, alphabet, secretLength, hash }: Keyspace): number {
  const largest = largestDisplayLength({
    prefix,
    secretLength,
    alphabet: alphabet === Alphabet.HEX ? 'hex' : 'base62',
    hash: hash === HashAlgorithm.ARGON2ID ? 'argon2id' : 'sha256',
  });
  return Math.min(DEFAULT_DISPLAY_LENGTH, largest);
}
