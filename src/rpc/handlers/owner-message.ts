/** Owners' records between the contract's messages and the domain's. */

import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { OwnerRecord } from '../../domain/owner.ts';
import {
  type OwnerRecord as OwnerRecordMessage,
  OwnerRecordSchema,
} from '../../gen/gatehouse/v1/owner_pb.js';
import type { OwnerChanges } from '../../keys/owners.ts';
import { timeField, timeOf } from './key-message.ts';

export function ownerRecordMessage(record: OwnerRecord): OwnerRecordMessage {
  const { permissionBound } = record;
  return create(OwnerRecordSchema, {
    keyspace: record.keyspace,
    kind: record.owner.kind,
    id: record.owner.id,
    ...(permissionBound === undefined ? {} : { permissionBound: { permissions: [...permissionBound] } }),
    disabled: record.disabled,
    ...timeField('notBefore', record.notBefore),
    generation: BigInt(record.generation),
    revision: BigInt(record.revision),
    createTime: timestampFromMs(record.createTime),
    updateTime: timestampFromMs(record.updateTime),
  });
}

/** The values of the fields that the mask names. */
export function ownerChanges(message: OwnerRecordMessage, paths: readonly string[]): OwnerChanges {
  const { permissionBound, disabled, notBefore } = message;
  return {
    ...(paths.includes('permission_bound') ? { permissionBound: permissionBound?.permissions ?? null } : {}),
    ...(paths.includes('disabled') ? { disabled } : {}),
    ...(paths.includes('not_before')
      ? { notBefore: notBefore === undefined ? null : timeOf(notBefore) }
      : {}),
  };
}
