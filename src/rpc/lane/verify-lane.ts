/**
 * The short way of Verify and VerifyBatch over gRPC, for calls in their plain form whose records are all in memory: from
 * metadata and message bytes to answer bytes, in one turn. It judges by the same verifier, and leaves the same log line,
 * metrics and usage as the long way (pipeline.ts). What it does not answer it has not touched: the long way answers that,
 * refusals of the call included, so whatever is told about an error is told in one place.
 */

import { Code } from '@connectrpc/connect';
import type { CallLog, CallRecord, Verdict } from '../../telemetry/call-log.ts';
import type { MethodMetrics, Metrics } from '../../telemetry/metrics.ts';
import { countCall } from '../../verification/authenticate.ts';
import type { UsageRecorder } from '../../verification/usage.ts';
import { codeName } from '../errors.ts';
import { type Scope, verdictOf } from '../handlers/verify.ts';
import { givenRequestId, newRequestId } from '../request-headers.ts';
import { answerEach, batchBytes } from './batch.ts';
import type { Acquaintance, Asker, Callers } from './callers.ts';
import { COMPRESSED_FROM, ENVELOPE_BYTES } from './envelope.ts';
import type { LaneMetadata } from './metadata.ts';
import type { PlainAnswer, PlainAnswers } from './plain-answers.ts';

const SERVICE = 'gatehouse.v1.AuthService';
const CANCELLED = codeName(Code.Canceled);

/** One of the two methods. */
export interface LaneMethod {
  readonly name: 'Verify' | 'VerifyBatch';
  readonly counted: MethodMetrics;
}

/** One call. */
export interface LaneCall {
  readonly method: LaneMethod;
  readonly metadata: LaneMetadata;
  /** By `performance.now()`. */
  readonly startedAt: number;
  /** Of its connection. */
  readonly acquaintance: Acquaintance;
  /** Address of the TCP peer. */
  peerAddress(): string | undefined;
}

export interface LaneAnswer {
  readonly requestId: string;
  /** The message in its envelope. */
  readonly bytes: Buffer;
}

export interface LaneParts {
  readonly callers: Callers;
  readonly answers: PlainAnswers;
  readonly usage: UsageRecorder;
  readonly callLog: CallLog;
  readonly metrics: Metrics;
}

export class VerifyLane {
  readonly #parts: LaneParts;
  readonly #methods: ReadonlyMap<string, LaneMethod>;

  constructor(parts: LaneParts) {
    this.#parts = parts;
    const methods = (['Verify', 'VerifyBatch'] as const).map(
      (name) => [`/${SERVICE}/${name}`, { name, counted: parts.metrics.method(SERVICE, name) }] as const,
    );
    this.#methods = new Map(methods);
  }

  /** @returns undefined where there is no short way. */
  methodAt(path: string): LaneMethod | undefined {
    return this.#methods.get(path);
  }

  /**
   * @param body the one message in its envelope, uncompressed.
   * @returns undefined where the long way has to answer.
   */
  answer(call: LaneCall, body: Buffer): LaneAnswer | undefined {
    const { metadata, acquaintance } = call;
    const { callers, answers, usage } = this.#parts;
    const asker = callers.asking(metadata, acquaintance, () => call.peerAddress());
    if (asker === undefined) return undefined;
    const given = this.#given(call.method, body, asker.mayVerify);
    if (given === undefined) return undefined;
    const bytes = call.method.name === 'Verify' ? given[0].bytes : batchBytes(given);
    if (metadata.acceptsGzip && bytes.length - ENVELOPE_BYTES >= COMPRESSED_FROM) return undefined;

    if (asker.caller !== undefined) countCall(asker.caller, usage, given[0].answered.time);
    for (const one of given) answers.countUse(one);
    const requestId = givenRequestId(metadata.requestId) ?? newRequestId();
    this.#record(call, requestId, asker, given);
    return { requestId, bytes };
  }

  #given(
    { name }: LaneMethod,
    body: Buffer,
    mayVerify: Scope,
  ): readonly [PlainAnswer, ...PlainAnswer[]] | undefined {
    const { answers } = this.#parts;
    if (name === 'VerifyBatch') return answerEach(answers, body, ENVELOPE_BYTES, mayVerify);
    const answer = answers.to(body, ENVELOPE_BYTES, body.length, mayVerify);
    return answer && [answer];
  }

  /**
   * Reads into memory what the answer to a Verify takes, where it had none.
   *
   * @returns undefined where that makes no difference. Rejects where the store has no answer.
   */
  readAhead(call: LaneCall, body: Buffer): Promise<unknown> | undefined {
    const { callers, answers } = this.#parts;
    if (call.method.name !== 'Verify') return undefined;
    // Nobody has the store read who may not ask.
    const asker = callers.asking(call.metadata, call.acquaintance, () => call.peerAddress());
    return asker && answers.readAhead(body, ENVELOPE_BYTES, body.length);
  }

  /** A call whose client went away before its message was there. */
  cancelled(call: LaneCall): void {
    const requestId = givenRequestId(call.metadata.requestId) ?? newRequestId();
    this.#end(call, requestId, { code: CANCELLED, reason: CANCELLED, caller: undefined, verdicts: [] });
  }

  #record(call: LaneCall, requestId: string, { caller }: Asker, given: readonly PlainAnswer[]): void {
    const verdicts: Verdict[] = [];
    for (const { answered } of given) {
      const verdict = verdictOf(answered);
      this.#parts.metrics.tokenJudged(verdict.keyspace, verdict.status);
      verdicts.push(verdict);
    }
    this.#end(call, requestId, { code: 'OK', reason: undefined, caller: caller?.key.id, verdicts });
  }

  #end(
    call: LaneCall,
    requestId: string,
    end: Pick<CallRecord, 'code' | 'reason' | 'caller' | 'verdicts'>,
  ): void {
    const { callLog } = this.#parts;
    const durationMs = performance.now() - call.startedAt;
    call.method.counted.answered(end.code, durationMs / 1000);
    const isRefused = end.code !== 'OK' || end.verdicts.some(({ status }) => status !== 'valid');
    if (!callLog.wantsVerdict(isRefused)) return;
    callLog.write({
      ...end,
      requestId,
      method: `${SERVICE}/${call.method.name}`,
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
