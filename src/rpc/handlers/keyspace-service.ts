/** KeyspaceService: from messages to the operations in `keys/` and back. */

import { create } from '@bufbuild/protobuf';
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
      const readable = await listKeyspaces(parts, requireCaller(context));
      const after = pageToken === '' ? '' : keyspaceIdOf(pageToken);
      const rest = readable.filter((one) => one.id > after);
      const page = rest.slice(0, pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize);
      const last = page.at(-1);
      return create(ListKeyspacesResponseSchema, {
        keyspaces: page.map(keyspaceMessage),
        nextPageToken: last === undefined || page.length === rest.length ? '' : pageTokenOf(last.id),
      });
    },

    async updateKeyspace(request, context) {
      const paths = request.updateMask?.paths ?? [];
      refuseMaskPaths(paths, KEYSPACE_PATHS_NOT_OFFERED);
      const wanted = required(request.keyspace);
      refuseDefaults(wanted);
      const fields = Object.entries(MUTABLE_FIELDS).flatMap(([field, path]) =>
        paths.includes(path) ? [field] : [],
      );
      const expected = request.expectedRevision;
      const { record, propagation } = await updateKeyspace(
        parts,
        originOf(context),
        wanted.id,
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

function refuseDefaults({ keyDefaults }: Keyspace): void {
  if (keyDefaults !== undefined) refuseNotOffered(KeyDefaultsSchema, keyDefaults, 'keyspace.key_defaults.');
}

// A page of keyspaces starts after an id that the caller has just read, and what it may read is judged anew each
// time, so the token carries no MAC.
function pageTokenOf(id: string): string {
  return Buffer.from(id).toString('base64url');
}

function keyspaceIdOf(token: string): string {
  const id = Buffer.from(token, 'base64url').toString();
  if (!/^[a-z][a-z0-9-]{1,62}$/.test(id)) {
    throw invalid('page_token', 'must be the next_page_token of an earlier ListKeyspaces');
  }
  return id;
}
