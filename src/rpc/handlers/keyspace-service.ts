/** KeyspaceService: from messages to the operations in `keys/` and back. */

import { create } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import type { ServiceImpl } from '@connectrpc/connect';
import { invalid } from '../../domain/failure.ts';
import { KeyDefaultsSchema, type Keyspace, KeyspaceSchema } from '../../gen/gatehouse/v1/keyspace_pb.js';
import {
  CreateKeyspaceRequestSchema,
  CreateKeyspaceResponseSchema,
  GetKeyspaceResponseSchema,
  type KeyspaceService,
  ListKeyspacesResponseSchema,
  UpdateKeyspaceResponseSchema,
} from '../../gen/gatehouse/v1/keyspace_service_pb.js';
import {
  createKeyspace,
  getKeyspace,
  listKeyspaces,
  MUTABLE_FIELDS,
  updateKeyspace,
} from '../../keys/keyspaces.ts';
import type { Parts } from '../../keys/parts.ts';
import { callOf } from '../call.ts';
import { originOf, requireCaller } from './caller.ts';
import { propagationMessage } from './key-message.ts';
import { keyspaceDraft, keyspaceMessage, withFields } from './keyspace-message.ts';
import { KEYSPACE_PATHS_NOT_OFFERED, refuseMaskPaths, refuseNotOffered } from './not-offered.ts';

const DEFAULT_PAGE_SIZE = 50;

export function keyspaceService(parts: Parts): Partial<ServiceImpl<typeof KeyspaceService>> {
  return {
    async createKeyspace(request, context) {
      refuseNotOffered(CreateKeyspaceRequestSchema, request);
      const wanted = required(request.keyspace);
      refuseNotOffered(KeyspaceSchema, wanted, 'keyspace.');
      refuseDefaults(wanted);
      const keyspace = await createKeyspace(parts, originOf(context), keyspaceDraft(wanted));
      callOf(context).notes.keyspace = keyspace.id;
      return create(CreateKeyspaceResponseSchema, { keyspace: keyspaceMessage(keyspace) });
    },

    async getKeyspace({ id }, context) {
      const keyspace = await getKeyspace(parts, requireCaller(context), id);
      callOf(context).notes.keyspace = keyspace.id;
      return create(GetKeyspaceResponseSchema, { keyspace: keyspaceMessage(keyspace) });
    },

    async listKeyspaces({ pageSize, pageToken }, context) {
      const page = await listKeyspaces(parts, requireCaller(context), {
        pageSize: pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize,
        pageToken,
      });
      callOf(context).notes.count = page.keyspaces.length;
      return create(ListKeyspacesResponseSchema, {
        keyspaces: page.keyspaces.map(keyspaceMessage),
        nextPageToken: page.nextPageToken,
      });
    },

    async updateKeyspace(request, context) {
      const paths = request.updateMask?.paths ?? [];
      refuseMaskPaths(paths, KEYSPACE_PATHS_NOT_OFFERED);
      const wanted = masked(required(request.keyspace), paths);
      refuseDefaults(wanted);
      const fields = Object.entries(MUTABLE_FIELDS).flatMap(([field, path]) =>
        paths.includes(path) ? [field] : [],
      );
      const expected = request.expectedRevision;
      const { record, propagation } = await updateKeyspace(
        parts,
        originOf(context),
        request.keyspace?.id ?? '',
        (keyspace) => withFields(keyspace, wanted, fields),
        expected === undefined ? undefined : Number(expected),
      );
      callOf(context).notes.keyspace = record.id;
      return create(UpdateKeyspaceResponseSchema, {
        keyspace: keyspaceMessage(record),
        propagation: propagationMessage(propagation),
      });
    },
  };
}

function required(keyspace: Keyspace | undefined): Keyspace {
  if (keyspace === undefined) throw invalid('keyspace', 'value is required');
  return keyspace;
}

/** Only the fields that the mask names: the others are ignored, whatever they are. */
function masked(keyspace: Keyspace, paths: readonly string[]): Keyspace {
  const all = reflect(KeyspaceSchema, keyspace, false);
  const named = reflect(KeyspaceSchema);
  for (const field of KeyspaceSchema.fields) {
    if (paths.includes(field.name) && all.isSet(field)) named.set(field, all.get(field));
  }
  return named.message as Keyspace;
}

function refuseDefaults({ keyDefaults }: Keyspace): void {
  if (keyDefaults !== undefined) refuseNotOffered(KeyDefaultsSchema, keyDefaults, 'keyspace.key_defaults.');
}
