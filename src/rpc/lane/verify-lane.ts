/**
 * The short way of Verify and VerifyBatch over gRPC, for calls in their plain form whose records are all in memory: from
 * metadata and message bytes to answer bytes, in one turn. It judges by the same verifier, and leaves the same log line,
 * metrics and usage as the long way (pipeline.ts). What it does not answer it has not touched: the long way answers that,
 * refusals of the call included, so whatever is told about an error is told in one place.
 */

import { Code } from '@connectrpc/connect';
import type { CallLog, CallRecord } from '../../telemetry/call-log.ts';
import type { MethodMetrics, Metrics } from '../../telemetry/metrics.ts';
import { countCall } from '../../verification/authenticate.ts';
import type { UsageRecorder } from '../../verification/usage.ts';
import { codeName } from '../errors.ts';
import { verdictOf } from '../handlers/verify.ts';
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
  readonly path: string;
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
  readonly #verify: LaneMethod;
  readonly #batch: LaneMethod;

  constructor(parts: LaneParts) {
    this.#parts = parts;
    const method = (name: LaneMethod['name']): LaneMethod => ({
      name,
      path: `/${SERVICE}/${name}`,
      counted: parts.metrics.method(SERVICE, name),
    });
    this.#verify = method('Verify');
    this.#batch = method('VerifyBatch');
  }

  /** @returns undefined where there is no short way. */
  methodAt(path: string): LaneMethod | undefined {
    return path === this.#verify.path ? this.#verify : path === this.#batch.path ? this.#batch : undefined;
  }

  /**
   * @param body the one message in its envelope, uncompressed.
   * @returns undefined where the long way has to answer.
   */
  answer(call: LaneCall, body: Buffer): LaneAnswer | undefined {
    const { answers } = this.#parts;
    const asker = this.#asker(call);
    if (asker === undefined) return undefined;
    if (call.method === this.#batch) {
      const given = answerEach(answers, body, ENVELOPE_BYTES, asker.mayVerify);
      return given && this.#told(call, asker, given, batchBytes(given));
    }
    const one = answers.to(body, ENVELOPE_BYTES, body.length, asker.mayVerify);
    return one && this.#told(call, asker, [one], one.bytes);
  }

  /** Begins a turn. @returns undefined where nothing may be answered in it to this caller. */
  #asker(call: LaneCall): Asker | undefined {
    const { callers, answers } = this.#parts;
    if (!answers.beginTurn()) return undefined;
    return callers.asking(call.metadata, call.acquaintance, () => call.peerAddress());
  }

  /** Counts and logs what was answered. @returns undefined where the long way would compress it. */
  #told(
    call: LaneCall,
    { caller }: Asker,
    given: readonly [PlainAnswer, ...PlainAnswer[]],
    bytes: Buffer,
  ): LaneAnswer | undefined {
    const { metadata } = call;
    if (metadata.acceptsGzip && bytes.length - ENVELOPE_BYTES >= COMPRESSED_FROM) return undefined;
    const { usage, answers, metrics, callLog } = this.#parts;
    if (caller !== undefined) countCall(caller, usage, given[0].answered.time);
    let isRefused = false;
    for (const one of given) {
      const { status, keyspace } = one.answered;
      answers.countUse(one);
      metrics.tokenJudged(keyspace?.id, status);
      isRefused ||= status !== 'valid';
    }
    const requestId = givenRequestId(metadata.requestId) ?? newRequestId();
    const durationMs = performance.now() - call.startedAt;
    call.method.counted.answered('OK', durationMs / 1000);
    if (callLog.wantsVerdict(isRefused)) {
      const verdicts = given.map(({ answered }) => verdictOf(answered));
      const end = { code: 'OK', reason: undefined, caller: caller?.key.id, verdicts };
      this.#log(call, requestId, durationMs, end);
    }
    return { requestId, bytes };
  }

  /**
   * Reads into memory what the answer to a Verify takes, where it had none.
   *
   * @returns undefined where that makes no difference. Rejects where the store has no answer.
   */
  readAhead(call: LaneCall, body: Buffer): Promise<unknown> | undefined {
    // Nobody has the store read who may not ask.
    if (call.method !== this.#verify || this.#asker(call) === undefined) return undefined;
    return this.#parts.answers.readAhead(body, ENVELOPE_BYTES, body.length);
  }

  /** A call whose client went away before its message was there. */
  cancelled(call: LaneCall): void {
    const requestId = givenRequestId(call.metadata.requestId) ?? newRequestId();
    const durationMs = performance.now() - call.startedAt;
    call.method.counted.answered(CANCELLED, durationMs / 1000);
    if (!this.#parts.callLog.wantsVerdict(true)) return;
    const end = { code: CANCELLED, reason: CANCELLED, caller: undefined, verdicts: [] };
    this.#log(call, requestId, durationMs, end);
  }

  #log(
    call: LaneCall,
    requestId: string,
    durationMs: number,
    end: Pick<CallRecord, 'code' | 'reason' | 'caller' | 'verdicts'>,
  ): void {
    this.#parts.callLog.write({
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
