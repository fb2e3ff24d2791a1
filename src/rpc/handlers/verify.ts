/** Verify between the contract's messages and the verifier: the same for each way in. */

import { create } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { type Caller, isManager } from '../../domain/caller.ts';
import { Failure } from '../../domain/failure.ts';
import type { SecretAge } from '../../domain/key.ts';
import { optional } from '../../domain/optional.ts';
import {
  type ManagementPermission,
  manages,
  managesSomewhere,
  RESERVED_KEYSPACE,
} from '../../domain/permissions.ts';
import type { StandingKey } from '../../domain/standing.ts';
import type { VerifyStatus } from '../../domain/verdict.ts';
import {
  CheckSchema,
  Consistency,
  type Principal,
  PrincipalKind,
  PrincipalSchema,
  SecretGeneration,
  VerifyStatus as StatusMessage,
  type VerifyRequest,
  type VerifyResponse,
  VerifyResponseSchema,
} from '../../gen/gatehouse/v1/auth_service_pb.js';
import type { Verdict } from '../../telemetry/call-log.ts';
import type { VerifyAnswer, VerifyQuestion } from '../../verification/verifier.ts';
import { ownerMessage, ownerOf, timeField } from './key-message.ts';

/** Whether the asking caller may verify keys of a keyspace. */
export type Scope = (keyspaceId: string) => boolean;

export const STATUSES: Readonly<Record<VerifyStatus, StatusMessage>> = {
  missing: StatusMessage.MISSING,
  malformed: StatusMessage.MALFORMED,
  'wrong-keyspace': StatusMessage.WRONG_KEYSPACE,
  'not-found': StatusMessage.NOT_FOUND,
  revoked: StatusMessage.REVOKED,
  'owner-disabled': StatusMessage.OWNER_DISABLED,
  disabled: StatusMessage.DISABLED,
  expired: StatusMessage.EXPIRED,
  'wrong-owner': StatusMessage.WRONG_OWNER,
  'wrong-project': StatusMessage.WRONG_PROJECT,
  'ip-not-allowed': StatusMessage.IP_NOT_ALLOWED,
  'insufficient-permissions': StatusMessage.INSUFFICIENT_PERMISSIONS,
  valid: StatusMessage.VALID,
};

export const NEEDED: readonly ManagementPermission[] = ['tokens:verify'];
const NEEDED_TO_EXPLAIN: readonly ManagementPermission[] = ['tokens:verify', 'keys:read'];

export function questionOf(request: VerifyRequest): VerifyQuestion {
  const clientIp = request.context?.clientIp;
  return {
    token: request.token,
    keyspaces: request.keyspaces,
    demands: {
      permissions: request.permissions,
      ...optional('project', request.project),
      ...optional('owner', ownerOf(request.owner)),
      ...optional('clientIp', clientIp === '' ? undefined : clientIp),
    },
    strong: request.consistency === Consistency.STRONG,
    explain: request.explain,
  };
}

/**
 * Which keyspaces the caller may verify in.
 *
 * @param open anyone may, but not in the reserved keyspace, and not with `explain`.
 * @throws Failure `unauthenticated`, or `denied` where it may in none.
 */
export function scopeOf(caller: Caller | undefined, open: boolean, explain: boolean): Scope {
  const anyone = open && !explain;
  const needed = explain ? NEEDED_TO_EXPLAIN : NEEDED;
  if (caller === undefined && !anyone) {
    throw new Failure(
      'unauthenticated',
      'CREDENTIALS_MISSING',
      'explain needs a caller with tokens:verify and keys:read',
    );
  }
  const held = caller !== undefined && isManager(caller) ? caller.key.permissions : [];
  const missing = needed.find((permission) => !managesSomewhere(held, permission));
  if (missing !== undefined && !anyone) {
    throw new Failure(
      'denied',
      'PERMISSION_MISSING',
      `this call needs ${missing}, which the calling key does not have`,
    );
  }
  return (keyspaceId) =>
    (anyone && keyspaceId !== RESERVED_KEYSPACE) ||
    needed.every((permission) => manages(held, permission, keyspaceId));
}

export function verdictOf({ status, keyspace, key }: VerifyAnswer): Verdict {
  return { status, keyspace: keyspace?.id, keyId: key?.id };
}

export function responseOf(answered: VerifyAnswer): VerifyResponse {
  const { key, secretAge } = answered;
  return create(VerifyResponseSchema, {
    valid: answered.status === 'valid',
    status: STATUSES[answered.status],
    message: answered.message,
    ...(key === undefined ? {} : { principal: principalOf(key, secretAge) }),
    revision: BigInt(key?.revision ?? 0),
    recordAge: durationFromMs(Math.ceil(answered.recordAge)),
    cacheableFor: durationFromMs(answered.reusableFor),
    missingPermissions: [...answered.missingPermissions],
    checks: answered.checks.map((check) => create(CheckSchema, check)),
  });
}

export function principalOf(key: StandingKey, secretAge: SecretAge | undefined): Principal {
  return create(PrincipalSchema, {
    kind: PrincipalKind.KEY,
    keyId: key.id,
    keyspace: key.keyspace,
    name: key.name,
    displayPrefix: key.displayPrefix,
    ...(key.owner === undefined ? {} : { owner: ownerMessage(key.owner) }),
    project: key.project ?? '',
    permissions: [...key.permissions],
    metadata: { ...key.metadata },
    ...timeField('expireTime', key.expireTime),
    secretGeneration: secretAge === 'previous' ? SecretGeneration.PREVIOUS : SecretGeneration.CURRENT,
  });
}
