/** KeyService: from messages to the operations in `keys/` and back. */

import { create, toBinary } from '@bufbuild/protobuf';
import { durationMs } from '@bufbuild/protobuf/wkt';
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import type { Key } from '../../domain/key.ts';
import { optional } from '../../domain/optional.ts';
import { type Key as KeyMessage, KeySchema, type PreviousSecret } from '../../gen/gatehouse/v1/key_pb.js';
import {
  type CreateKeyRequest,
  CreateKeyRequestSchema,
  CreateKeyResponseSchema,
  GetKeyResponseSchema,
  type KeyService,
  type ListKeysRequest,
  ListKeysResponseSchema,
  RevokeKeyResponseSchema,
  RevokeKeysRequestSchema,
  RevokeKeysResponseSchema,
  RotateKeyResponseSchema,
  type UpdateKeyRequest,
  UpdateKeyResponseSchema,
} from '../../gen/gatehouse/v1/key_service_pb.js';
import { createKey } from '../../keys/create.ts';
import type { Parts } from '../../keys/parts.ts';
import type { Expiry, KeyRequest } from '../../keys/plan.ts';
import { getKey, type ListQuestion, listKeys, type ShownKey, shown, shownAll } from '../../keys/read.ts';
import { revokeKey } from '../../keys/revoke.ts';
import { revokeKeys } from '../../keys/revoke-keys.ts';
import { rotateKey } from '../../keys/rotate.ts';
import { type KeyChanges, updateKey } from '../../keys/update.ts';
import { callOf } from '../call.ts';
import { originOf, requireCaller } from './caller.ts';
import { keyMessage, ownerOf, propagationMessage, stateOf, timeOf } from './key-message.ts';
import { KEY_PATHS_NOT_OFFERED, refuseMaskPaths, refuseNotOffered } from './not-offered.ts';

const DEFAULT_PAGE_SIZE = 50;
/** Bytes of keys after which a page, or a list in an answer, ends, however many keys were asked for. */
const MAX_PAGE_BYTES = 2 * 1024 * 1024;

export function keyService(parts: Parts): Partial<ServiceImpl<typeof KeyService>> {
  return {
    async createKey(request, context) {
      refuseNotOffered(CreateKeyRequestSchema, request);
      const { keyspace, requestId } = request;
      const { key, token } = await createKey(
        parts,
        originOf(context),
        keyspace,
        keyRequest(request),
        requestId,
      );
      noteKey(context, key);
      return create(CreateKeyResponseSchema, {
        key: keyMessage(token === undefined ? await shown(parts, key) : neverUsed(key), parts.now()),
        secret: token ?? '',
        replayed: token === undefined,
      });
    },

    async getKey({ id }, context) {
      const listed = await getKey(parts, requireCaller(context), id);
      noteKey(context, listed.key);
      return create(GetKeyResponseSchema, { key: keyMessage(listed, parts.now()) });
    },

    async listKeys(request, context) {
      const listing = await listKeys(parts, requireCaller(context), listQuestion(request));
      const { total, active } = listing.totals ?? {};
      const response = create(ListKeysResponseSchema, {
        ...optional('totalSize', total),
        ...optional('activeSize', active),
      });
      response.keys.push(...fittingMessages(listing.keys, listing.now));
      const cut = response.keys.length < listing.keys.length;
      const next = cut ? listing.keys[response.keys.length - 1]?.key : listing.next;
      callOf(context).notes.count = response.keys.length;
      if (next !== undefined) response.nextPageToken = listing.tokenAfter(next);
      return response;
    },

    async updateKey(request, context) {
      const paths = request.updateMask?.paths ?? [];
      refuseMaskPaths(paths, KEY_PATHS_NOT_OFFERED);
      const id = request.key?.id ?? '';
      const expected = request.expectedRevision;
      const { record, propagation } = await updateKey(
        parts,
        originOf(context),
        id,
        keyChanges(request, new Set(paths)),
        expected === undefined ? undefined : Number(expected),
      );
      noteKey(context, record);
      return create(UpdateKeyResponseSchema, {
        key: keyMessage(await shown(parts, record), parts.now()),
        propagation: propagationMessage(propagation),
      });
    },

    async rotateKey(request, context) {
      const expected = request.expectedRevision;
      const { record, token, usage, propagation } = await rotateKey(parts, originOf(context), request.id, {
        overlap: request.overlap === undefined ? 0 : durationMs(request.overlap),
        expectedRevision: expected === undefined ? undefined : Number(expected),
        requestId: request.requestId,
      });
      noteKey(context, record);
      return create(RotateKeyResponseSchema, {
        key: keyMessage(
          token === undefined ? await shown(parts, record) : { ...neverUsed(record), usage },
          parts.now(),
        ),
        secret: token ?? '',
        replayed: token === undefined,
        propagation: propagationMessage(propagation),
      });
    },

    async revokeKeys(request, context) {
      refuseNotOffered(RevokeKeysRequestSchema, request);
      const { count, sample, propagation } = await revokeKeys(parts, originOf(context), {
        keyspace: request.keyspace,
        owner: ownerOf(request.owner),
        reason: request.reason,
        dryRun: request.dryRun,
        expectedCount: request.expectedCount,
      });
      Object.assign(callOf(context).notes, {
        keyspace: request.keyspace || undefined,
        count,
        dryRun: request.dryRun || undefined,
      });
      const keys = await shownAll(parts, sample);
      return create(RevokeKeysResponseSchema, {
        count,
        sample: fittingMessages(keys, parts.now()),
        ...optional('propagation', propagation && propagationMessage(propagation)),
      });
    },

    async revokeKey({ target, reason, includeDescendants }, context) {
      const wanted = target.case === 'secret' ? { secret: target.value } : { id: target.value ?? '' };
      const options = { reason, includeDescendants };
      const { record, propagation, descendants } = await revokeKey(parts, originOf(context), wanted, options);
      noteKey(context, record);
      const now = parts.now();
      const live = await shownAll(parts, descendants.keys);
      return create(RevokeKeyResponseSchema, {
        key: keyMessage(await shown(parts, record), now),
        liveDescendants: fittingMessages(live, now),
        liveDescendantsSize: descendants.size,
        propagation: propagationMessage(propagation),
      });
    },
  };
}

/** Nothing is read for it: what cannot be read must not keep a new secret from its only reader. */
function neverUsed(key: Key): ShownKey {
  return { key, usage: undefined, previousLastUsedTime: undefined };
}

/** As many of the keys, from the first on, as one answer may hold. */
function fittingMessages(keys: readonly ShownKey[], now: number): KeyMessage[] {
  const messages: KeyMessage[] = [];
  let bytes = 0;
  for (const key of keys) {
    const message = keyMessage(key, now);
    bytes += toBinary(KeySchema, message).length;
    if (bytes > MAX_PAGE_BYTES && messages.length > 0) break;
    messages.push(message);
  }
  return messages;
}

/** Names the key in the call's log line. */
function noteKey(context: HandlerContext, { id, keyspace }: Key): void {
  Object.assign(callOf(context).notes, { keyId: id, keyspace });
}

function keyRequest(request: CreateKeyRequest): KeyRequest {
  return {
    name: request.name,
    ...optional('owner', ownerOf(request.owner)),
    ...optional('project', request.project === '' ? undefined : request.project),
    permissions: request.permissions,
    ...(request.inheritOwnerPermissions ? { inheritOwnerPermissions: true as const } : {}),
    metadata: request.metadata,
    allowedCidrs: request.allowedCidrs,
    ...optional('expiry', expiryOf(request.expiry)),
  };
}

function expiryOf(expiry: CreateKeyRequest['expiry']): Expiry | undefined {
  switch (expiry.case) {
    case 'ttl':
      return { kind: 'ttl', ttl: durationMs(expiry.value) };
    case 'expireTime':
      return { kind: 'at', time: timeOf(expiry.value) };
    case 'neverExpires':
      return { kind: 'never' };
    default:
      return undefined;
  }
}

function listQuestion(request: ListKeysRequest): ListQuestion {
  const states = request.states.map(stateOf).filter((state) => state !== undefined);
  return {
    keyspace: request.keyspace,
    filter: {
      ...optional('owner', ownerOf(request.owner)),
      ...optional('project', request.project),
      ...optional('states', states.length === 0 ? undefined : states),
      ...optional('nameContains', request.nameContains === '' ? undefined : request.nameContains),
      ...optional('displayPrefix', request.displayPrefix === '' ? undefined : request.displayPrefix),
      ...optional('createdAfter', request.createdAfter && timeOf(request.createdAfter)),
      ...optional('createdBefore', request.createdBefore && timeOf(request.createdBefore)),
      ...optional('lastUsedAfter', request.lastUsedAfter && timeOf(request.lastUsedAfter)),
      ...optional('lastUsedBefore', request.lastUsedBefore && timeOf(request.lastUsedBefore)),
      ...optional('expiresAfter', request.expiresAfter && timeOf(request.expiresAfter)),
      ...optional('expiresBefore', request.expiresBefore && timeOf(request.expiresBefore)),
    },
    pageSize: request.pageSize === 0 ? DEFAULT_PAGE_SIZE : request.pageSize,
    pageToken: request.pageToken,
    withTotals: request.withTotals,
  };
}

function keyChanges({ key }: UpdateKeyRequest, paths: ReadonlySet<string>): KeyChanges {
  if (key === undefined) return {};
  const masked = <V>(path: string, value: V): V | undefined => (paths.has(path) ? value : undefined);
  return {
    ...optional('name', masked('name', key.name)),
    ...optional('permissions', masked('permissions', key.permissions)),
    ...optional('inheritOwnerPermissions', masked('inherit_owner_permissions', key.inheritOwnerPermissions)),
    ...optional('metadata', masked('metadata', key.metadata)),
    ...optional('expireTime', masked('expire_time', key.expireTime ? timeOf(key.expireTime) : null)),
    ...optional('disabled', masked('disabled', key.disabled)),
    ...optional('project', masked('project', key.project === '' ? null : key.project)),
    ...optional('allowedCidrs', masked('allowed_cidrs', key.allowedCidrs)),
    ...optional('previousSecret', masked('previous_secret', previousEnd(key.previousSecret))),
  };
}

function previousEnd(previous: PreviousSecret | undefined): number | null {
  return previous?.expireTime === undefined ? null : timeOf(previous.expireTime);
}
