/**
 * Fields of the contract whose capability this version does not have. They are refused by name and never
 * ignored: a client that sets one must not believe that it took effect. A field leaves this list together
 * with the change that makes it work.
 */

import type { DescMessage, Message } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { VerifyRequestSchema } from '../../gen/gatehouse/v1/auth_service_pb.js';
import { CreateKeyRequestSchema, RevokeKeysRequestSchema } from '../../gen/gatehouse/v1/key_service_pb.js';
import { KeyDefaultsSchema, KeyspaceSchema } from '../../gen/gatehouse/v1/keyspace_pb.js';
import { CreateKeyspaceRequestSchema } from '../../gen/gatehouse/v1/keyspace_service_pb.js';
import { notOffered } from '../refusals.ts';

const NOT_OFFERED = new Map<string, readonly string[]>([
  [VerifyRequestSchema.typeName, ['cost', 'charge_id']],
  [CreateKeyRequestSchema.typeName, ['credits', 'rate_limits']],
  [RevokeKeysRequestSchema.typeName, ['project', 'created_before', 'last_used_before', 'request_id']],
  [CreateKeyspaceRequestSchema.typeName, ['request_id']],
  [KeyDefaultsSchema.typeName, ['credits', 'rate_limits']],
  [KeyspaceSchema.typeName, ['credential_headers', 'session_issuers']],
]);

/** Paths of UpdateKey's mask without a capability behind them. */
export const KEY_PATHS_NOT_OFFERED = ['credits', 'rate_limits'];

/** Paths of UpdateOwner's mask without a capability behind them. */
export const OWNER_PATHS_NOT_OFFERED = ['credits', 'rate_limits'];

/** Paths of UpdateKeyspace's mask without a capability behind them. */
export const KEYSPACE_PATHS_NOT_OFFERED = NOT_OFFERED.get(KeyspaceSchema.typeName) ?? [];

/**
 * @param at path of the message in its request, such as `keyspace.`; empty for the request itself.
 * @throws Failure `unimplemented` naming the first field that is set and not offered.
 */
export function refuseNotOffered<D extends DescMessage>(schema: D, message: Message, at = ''): void {
  const reflected = reflect(schema, message as never, false);
  for (const name of NOT_OFFERED.get(schema.typeName) ?? []) {
    const field = schema.fields.find((one) => one.name === name);
    if (field !== undefined && reflected.isSet(field)) throw notOffered(`${at}${name}`);
  }
}

/** @throws Failure `unimplemented` naming the first path that is not offered. */
export function refuseMaskPaths(paths: readonly string[], unavailable: readonly string[]): void {
  const path = paths.find((one) => unavailable.includes(one));
  if (path !== undefined) throw notOffered(path);
}
