/** OwnerService: from messages to the operations in `keys/` and back. */

import { create, toBinary } from '@bufbuild/protobuf';
import type { ServiceImpl } from '@connectrpc/connect';
import { invalid } from '../../domain/failure.ts';
import { optional } from '../../domain/optional.ts';
import { OwnerRecordSchema } from '../../gen/gatehouse/v1/owner_pb.js';
import {
  GetOwnerResponseSchema,
  ListOwnersResponseSchema,
  type OwnerService,
  UpdateOwnerResponseSchema,
} from '../../gen/gatehouse/v1/owner_service_pb.js';
import { getOwner, listOwners, updateOwner } from '../../keys/owners.ts';
import type { Parts } from '../../keys/parts.ts';
import { callOf } from '../call.ts';
import { originOf, requireCaller } from './caller.ts';
import { propagationMessage } from './key-message.ts';
import { OWNER_PATHS_NOT_OFFERED, refuseMaskPaths } from './not-offered.ts';
import { ownerChanges, ownerRecordMessage } from './owner-message.ts';

const DEFAULT_PAGE_SIZE = 50;
/** Bytes of records after which a page ends, however many owners were asked for. */
const MAX_PAGE_BYTES = 2 * 1024 * 1024;

export function ownerService(parts: Parts): Partial<ServiceImpl<typeof OwnerService>> {
  return {
    async getOwner({ keyspace, kind, id }, context) {
      callOf(context).notes.keyspace = keyspace;
      const record = await getOwner(parts, requireCaller(context), keyspace, { kind, id });
      return create(GetOwnerResponseSchema, { owner: ownerRecordMessage(record) });
    },

    async listOwners({ keyspace, kind, disabled, pageSize, pageToken }, context) {
      const listing = await listOwners(parts, requireCaller(context), {
        keyspace,
        ...optional('kind', kind === '' ? undefined : kind),
        ...optional('disabled', disabled),
        pageSize: pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize,
        pageToken,
      });
      const response = create(ListOwnersResponseSchema);
      let bytes = 0;
      for (const record of listing.owners) {
        const message = ownerRecordMessage(record);
        bytes += toBinary(OwnerRecordSchema, message).length;
        if (bytes > MAX_PAGE_BYTES && response.owners.length > 0) break;
        response.owners.push(message);
      }
      const last = listing.owners[response.owners.length - 1];
      const more = listing.more || response.owners.length < listing.owners.length;
      callOf(context).notes.count = response.owners.length;
      if (more && last !== undefined) response.nextPageToken = listing.tokenAfter(last);
      return response;
    },

    async updateOwner({ owner, updateMask, expectedRevision }, context) {
      const paths = updateMask?.paths ?? [];
      refuseMaskPaths(paths, OWNER_PATHS_NOT_OFFERED);
      if (owner === undefined) throw invalid('owner', 'value is required');
      const { keyspace, kind, id } = owner;
      callOf(context).notes.keyspace = keyspace;
      const { record, propagation } = await updateOwner(
        parts,
        originOf(context),
        { keyspace, owner: { kind, id } },
        ownerChanges(owner, paths),
        expectedRevision === undefined ? undefined : Number(expectedRevision),
      );
      return create(UpdateOwnerResponseSchema, {
        owner: ownerRecordMessage(record),
        propagation: propagationMessage(propagation),
      });
    },
  };
}
