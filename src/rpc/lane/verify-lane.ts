/**
 * The short way of a unary Verify over gRPC, for calls in their plain form whose records are all in memory: from metadata and
 * message bytes to answer bytes, in one turn. It judges by the same verifier, and leaves the same log line, metrics and usage
 * as the long way (pipeline.ts). What it does not answer it has not touched: the long way answers that, refusals of the call
 * included, so whatever is told about an error is told in one place.
 */

import { Code } from '@connectrpc/connect';
import type { Caller } from '../../domain/caller.ts';
import type { CallLog, CallRecord } from '../../telemetry/call-log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { countCall, judgedAtHand } from '../../verification/authenticate.ts';
import type { UsageRecorder } from '../../verification/usage.ts';
import type { Match, Verifier, VerifyAnswer } from '../../verification/verifier.ts';
import { codeName } from '../errors.ts';
import { type Scope, scopeOf, verdictOf } from '../handlers/verify.ts';
import { bareCredential, givenRequestId, newRequestId } from '../request-headers.ts';
import { AnswerBytes } from './answer-bytes.ts';
import type { LaneMetadata } from './metadata.ts';
import { plainQuestion } from './question.ts';

export const VERIFY_PATH = '/gatehouse.v1.AuthService/Verify';
const SERVICE = 'gatehouse.v1.AuthService';
const METHOD = 'Verify';
const CANCELLED = codeName(Code.Canceled);
const MAX_BYTES = 64 * 1024;
const ENVELOPE_BYTES = 5;
/** From this size on the router compresses an answer for a client that takes it so. */
const COMPRESSED_FROM = 1024;

/** One call. */
export interface LaneCall {
  readonly metadata: LaneMetadata;
  /** By `performance.now()`. */
  readonly startedAt: number;
  /** Of its connection. */
  readonly connection: LaneConnection;
  /** Address of the TCP peer. */
  peerAddress(): string | undefined;
}

/** What the lane remembers of a connection: clients show the same credential in each call. */
export interface LaneConnection {
  authorization?: string;
  caller?: Match;
}

export interface LaneAnswer {
  readonly requestId: string;
  /** The message in its envelope. */
  readonly bytes: Buffer;
}

export interface LaneParts {
  readonly verifier: Verifier;
  readonly usage: UsageRecorder;
  readonly access: 'key' | 'open';
  readonly callLog: CallLog;
  readonly metrics: Metrics;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class VerifyLane {
  readonly #parts: LaneParts;
  readonly #answers = new AnswerBytes();
  readonly #counted;

  constructor(parts: LaneParts) {
    this.#parts = parts;
    this.#counted = parts.metrics.method(SERVICE, METHOD);
  }

  /**
   * @param body the one message in its envelope, uncompressed.
   * @returns undefined where the long way has to answer.
   */
  answer(call: LaneCall, body: Buffer): LaneAnswer | undefined {
    const { verifier, usage, access } = this.#parts;
    if (body.length > MAX_BYTES) return undefined;
    const caller = this.#callerOf(call);
    if (caller === undefined) return undefined;
    const question = plainQuestion(body, ENVELOPE_BYTES, body.length);
    if (question === undefined) return undefined;
    const scope = scopeWithin(caller, access);
    const answered = scope && verifier.verifyAtHand(question, scope);
    if (answered === undefined) return undefined;
    const bytes = this.#answers.of(answered);
    if (call.metadata.acceptsGzip && bytes.length - ENVELOPE_BYTES >= COMPRESSED_FROM) return undefined;

    if (caller !== null) countCall(caller, usage, answered.time);
    verifier.countUse(answered);
    const requestId = givenRequestId(call.metadata.requestId) ?? newRequestId();
    this.#record(call, requestId, caller, answered);
    return { requestId, bytes };
  }

  /** @returns null: it shows no credential and needs none. */
  #callerOf(call: LaneCall): Caller | null | undefined {
    const { authorization, apiKey } = call.metadata;
    const { verifier, access, now } = this.#parts;
    if (authorization === undefined && apiKey === undefined) return access === 'open' ? null : undefined;
    // Two of them are to be compared, and refused or not.
    if (authorization !== undefined && apiKey !== undefined) return undefined;
    const clientIp = () => call.peerAddress();
    const { connection } = call;
    const known = connection.caller;
    if (known !== undefined && authorization === connection.authorization && verifier.stillMatches(known))
      return judgedAtHand(known, now(), clientIp);
    const token = authorization === undefined ? apiKey : bareCredential(authorization);
    if (token === undefined || token.includes(',')) return undefined;
    const match = verifier.matchAtHand(token);
    if (match == null) return undefined;
    if (authorization !== undefined) Object.assign(connection, { authorization, caller: match });
    return judgedAtHand(match, now(), clientIp);
  }

  /** A call whose client went away before its message was there. */
  cancelled(call: LaneCall): void {
    const requestId = givenRequestId(call.metadata.requestId) ?? newRequestId();
    this.#end(call, requestId, { code: CANCELLED, reason: CANCELLED, caller: undefined, verdicts: [] });
  }

  #record(call: LaneCall, requestId: string, caller: Caller | null, answered: VerifyAnswer): void {
    const verdict = verdictOf(answered);
    this.#parts.metrics.tokenJudged(verdict.keyspace, verdict.status);
    const end = { code: 'OK', reason: undefined, caller: caller?.key.id, verdicts: [verdict] };
    this.#end(call, requestId, end);
  }

  #end(
    call: LaneCall,
    requestId: string,
    end: Pick<CallRecord, 'code' | 'reason' | 'caller' | 'verdicts'>,
  ): void {
    const { callLog } = this.#parts;
    const durationMs = performance.now() - call.startedAt;
    this.#counted.answered(end.code, durationMs / 1000);
    if (!callLog.wantsVerdict(end.verdicts[0]?.status !== 'valid')) return;
    callLog.write({
      ...end,
      requestId,
      method: `${SERVICE}/${METHOD}`,
      peer: call.peerAddress(),
      durationMs,
      keyId: undefined,
      keyspace: undefined,
      count: undefined,
      dryRun: undefined,
      judgesTokens: true,
      errorId: undefined,
      error: undefined,
    });
  }
}

/** @returns undefined where the caller may verify in no keyspace. */
function scopeWithin(caller: Caller | null, access: 'key' | 'open'): Scope | undefined {
  try {
    return scopeOf(caller ?? undefined, access === 'open', false);
  } catch {
    return undefined;
  }
}
