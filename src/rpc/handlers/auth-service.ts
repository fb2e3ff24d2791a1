/** AuthService: from questions to the verifier and back. */

import { create } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import { isManager } from '../../domain/caller.ts';
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
  type AuthService,
  CheckSchema,
  Consistency,
  type Principal,
  PrincipalKind,
  PrincipalSchema,
  SecretGeneration,
  VerifyStatus as StatusMessage,
  VerifyBatchResponseSchema,
  type VerifyRequest,
  VerifyRequestSchema,
  type VerifyResponse,
  VerifyResponseSchema,
  type VerifyResult,
  VerifyResultSchema,
} from '../../gen/gatehouse/v1/auth_service_pb.js';
import type { Verdict } from '../../telemetry/call-log.ts';
import type { Verifier, VerifyAnswer } from '../../verification/verifier.ts';
import { type Call, callOf } from '../call.ts';
import { outcomeOf } from '../errors.ts';
import { assertValid } from '../validation.ts';
import { ownerMessage, ownerOf, timeField } from './key-message.ts';
import { refuseNotOffered } from './not-offered.ts';
import { statusMessage } from './status-message.ts';
import { type WatchParts, watchRevocations } from './watch-revocations.ts';

const STATUSES: Readonly<Record<VerifyStatus, StatusMessage>> = {
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

export interface AuthParts extends WatchParts {
  readonly verifier: Verifier;
  /** `open`: anyone who can reach the port may verify keys, but those of the reserved keyspace. */
  readonly access: 'key' | 'open';
}

export function authService(parts: AuthParts): Partial<ServiceImpl<typeof AuthService>> {
  return {
    async verify(request, context) {
      const call = callOf(context);
      const { response, verdict } = await answer(parts, call, request);
      call.notes.verdicts = [verdict];
      return response;
    },

    async verifyBatch({ requests }, context) {
      const call = callOf(context);
      // Who may verify nothing is refused as a whole, as by Verify.
      scopeOf(call, parts.access === 'open', ['tokens:verify']);
      const items = await Promise.all(requests.map((request) => resultOf(parts, call, request)));
      call.notes.verdicts = items.map((item) => item.verdict);
      return create(VerifyBatchResponseSchema, { results: items.map((item) => item.result) });
    },

    watchRevocations: (request, context) => watchRevocations(parts, callOf(context), request),
  };
}

/** One item of a batch fails by itself. */
async function resultOf(
  parts: AuthParts,
  call: Call,
  request: VerifyRequest,
): Promise<{ readonly result: VerifyResult; readonly verdict: Verdict }> {
  try {
    assertValid(VerifyRequestSchema, request);
    const { response, verdict } = await answer(parts, call, request);
    return { result: create(VerifyResultSchema, { result: { case: 'response', value: response } }), verdict };
  } catch (error) {
    const outcome = outcomeOf(error);
    const { reason, errorId, cause } = outcome;
    return {
      result: create(VerifyResultSchema, { result: { case: 'error', value: statusMessage(outcome) } }),
      verdict: { status: 'error', reason, errorId, cause },
    };
  }
}

async function answer(
  { verifier, access }: AuthParts,
  call: Call,
  request: VerifyRequest,
): Promise<{ readonly response: VerifyResponse; readonly verdict: Verdict }> {
  refuseNotOffered(VerifyRequestSchema, request);
  const needed: ManagementPermission[] = request.explain ? ['tokens:verify', 'keys:read'] : ['tokens:verify'];
  const mayVerify = scopeOf(call, access === 'open' && !request.explain, needed);
  const clientIp = request.context?.clientIp;
  const answered = await verifier.verify(
    {
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
    },
    mayVerify,
  );
  const verdict = { status: answered.status, keyspace: answered.keyspace?.id, keyId: answered.key?.id };
  return { response: responseOf(answered), verdict };
}

/**
 * Which keyspaces the caller may verify in.
 *
 * @param open anyone may, but not in the reserved keyspace.
 * @throws Failure `unauthenticated`, or `denied` where it may in none.
 */
function scopeOf(
  { caller }: Call,
  open: boolean,
  needed: readonly ManagementPermission[],
): (keyspaceId: string) => boolean {
  if (caller === undefined && !open) {
    throw new Failure(
      'unauthenticated',
      'CREDENTIALS_MISSING',
      'explain needs a caller with tokens:verify and keys:read',
    );
  }
  const held = caller !== undefined && isManager(caller) ? caller.key.permissions : [];
  const missing = needed.find((permission) => !managesSomewhere(held, permission));
  if (missing !== undefined && !open) {
    throw new Failure(
      'denied',
      'PERMISSION_MISSING',
      `this call needs ${missing}, which the calling key does not have`,
    );
  }
  return (keyspaceId) =>
    (open && keyspaceId !== RESERVED_KEYSPACE) ||
    needed.every((permission) => manages(held, permission, keyspaceId));
}

function responseOf(answered: VerifyAnswer): VerifyResponse {
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

function principalOf(key: StandingKey, secretAge: SecretAge | undefined): Principal {
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
