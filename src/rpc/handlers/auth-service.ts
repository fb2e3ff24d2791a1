/** AuthService: from questions to the verifier and back. */

import { create } from '@bufbuild/protobuf';
import type { ServiceImpl } from '@connectrpc/connect';
import type { Caller } from '../../domain/caller.ts';
import {
  type AuthService,
  VerifyBatchResponseSchema,
  type VerifyRequest,
  VerifyRequestSchema,
  type VerifyResponse,
  type VerifyResult,
  VerifyResultSchema,
} from '../../gen/gatehouse/v1/auth_service_pb.js';
import type { Verdict } from '../../telemetry/call-log.ts';
import type { Verifier } from '../../verification/verifier.ts';
import { type Call, callOf } from '../call.ts';
import { outcomeOf } from '../errors.ts';
import { assertValid } from '../validation.ts';
import { refuseNotOffered } from './not-offered.ts';
import { statusMessage } from './status-message.ts';
import { questionOf, responseOf, scopeOf, verdictOf } from './verify.ts';
import { type Ask, verifyStream } from './verify-stream.ts';
import { type WatchParts, watchRevocations } from './watch-revocations.ts';

export interface AuthParts extends WatchParts {
  readonly verifier: Verifier;
  /** `open`: anyone who can reach the port may verify keys, but those of the reserved keyspace. */
  readonly access: 'key' | 'open';
}

export function authService(parts: AuthParts): Partial<ServiceImpl<typeof AuthService>> {
  return {
    async verify(request, context) {
      const call = callOf(context);
      const { response, verdict } = await answer(parts, call.caller, request);
      call.notes.verdicts = [verdict];
      return response;
    },

    async verifyBatch({ requests }, context) {
      const call = callOf(context);
      // Who may verify nothing is refused as a whole, as by Verify.
      scopeOf(call.caller, parts.access === 'open', false);
      const items = await Promise.all(requests.map((request) => resultOf(parts, call, request)));
      call.notes.verdicts = items.map((item) => item.verdict);
      return create(VerifyBatchResponseSchema, { results: items.map((item) => item.result) });
    },

    verifyStream(questions, context) {
      const call = callOf(context);
      const ask: Ask = (caller, request) => answer(parts, caller, request);
      const mayAsk = (caller: Caller | undefined) => void scopeOf(caller, parts.access === 'open', false);
      return verifyStream({ call, ask, mayAsk }, questions);
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
    const { response, verdict } = await answer(parts, call.caller, request);
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
  caller: Caller | undefined,
  request: VerifyRequest,
): Promise<{ readonly response: VerifyResponse; readonly verdict: Verdict }> {
  refuseNotOffered(VerifyRequestSchema, request);
  const mayVerify = scopeOf(caller, access === 'open', request.explain);
  const answered = await verifier.verify(questionOf(request), mayVerify);
  return { response: responseOf(answered), verdict: verdictOf(answered) };
}
