/** One request with its answer, from the first header to the log line. */

import { createContextKey } from '@connectrpc/connect';
import type { Caller } from '../domain/caller.ts';
import type { CallRecord, Verdict } from '../telemetry/call-log.ts';
import { type Call, type CallNotes, credentialsMissing } from './call.ts';
import { deadlineExceeded, orAborted } from './deadline.ts';
import { cancelled, codeName, type Outcome, outcomeOf } from './errors.ts';
import type { HeldBytes } from './held.ts';
import { type NodeRequest, type NodeResponse, peerAddressOf } from './node-http.ts';
import type { MethodPolicy } from './policy.ts';
import { requestIdOf } from './request-headers.ts';

/** Where the pipeline puts the exchange for what it does inside Connect's router. */
export const exchangeKey = createContextKey<Exchange | undefined>(undefined, {
  description: 'gatehouse exchange',
});

/** What was read of a request's body before the pipeline was given it. */
export interface BodyStart {
  readonly chunks: readonly Buffer[];
  /** Whether that was all of it. */
  readonly ended: boolean;
  /** Lets the rest come, which is held back until then; to be called in the turn in which it begins to be read. */
  readOn(): void;
}

export class Exchange {
  readonly request: NodeRequest;
  readonly response: NodeResponse;
  readonly policy: MethodPolicy;
  readonly requestId: string;
  readonly peerAddress: string | undefined;
  /** Ask an HTTP/1.1 client to open no further call on this connection. */
  closing = false;
  bodyStart: BodyStart | undefined;
  /** Answers that are on their way, this one's among them. */
  answers: HeldBytes | undefined;
  /** Whether the message of a unary call was decoded: what fails before that failed to decode. */
  decoded = false;
  caller: Caller | undefined;
  onBehalfOf: string | undefined;
  /** The caller as it is now. */
  judgeAgain: () => Promise<Caller> = () => Promise.reject(credentialsMissing());
  /** Told of each token of a call that judges them as it goes. */
  onVerdict: (verdict: Verdict, begunAt: number) => void = () => {};
  readonly #late: (exchange: Exchange, error: unknown) => void;
  readonly #startedAt = performance.now();
  readonly #controller = new AbortController();
  readonly #notes: CallNotes = {};
  #timer: NodeJS.Timeout | undefined;
  #endsAt = Number.POSITIVE_INFINITY;
  #outcome: Outcome | undefined;
  #answered = false;

  /** @param late told of what failed after the call had been aborted. */
  constructor(
    request: NodeRequest,
    response: NodeResponse,
    policy: MethodPolicy,
    late: (exchange: Exchange, error: unknown) => void,
  ) {
    this.request = request;
    this.response = response;
    this.policy = policy;
    this.requestId = requestIdOf(request.rawHeaders);
    this.peerAddress = peerAddressOf(request);
    this.#late = late;
    response.once('close', () => {
      if (!this.#answered) this.abort(cancelled());
    });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get headers(): readonly string[] {
    return this.request.rawHeaders;
  }

  /** What went wrong; undefined as long as nothing has. */
  get outcome(): Outcome | undefined {
    return this.#outcome;
  }

  abort(reason: Error): void {
    this.#controller.abort(reason);
  }

  /** @param ms undefined: no deadline. */
  startDeadline(ms: number | undefined): void {
    if (ms === undefined) return;
    this.#endsAt = this.#startedAt + ms;
    if (ms <= 0) return this.abort(deadlineExceeded());
    this.#timer = setTimeout(() => this.abort(deadlineExceeded()), ms);
  }

  /** Waits for work, but no longer than until the call is aborted, and then throws the reason for that. */
  orAborted<T>(work: Promise<T>): Promise<T> {
    return orAborted(work, this.signal, this.late);
  }

  /** For an error that comes too late to be told to the client. */
  readonly late = (error: unknown): void => this.#late(this, error);

  /** The call as its handler sees it. */
  call(): Call {
    return {
      requestId: this.requestId,
      caller: this.caller,
      judgedAgain: this.judgeAgain,
      ...(this.onBehalfOf === undefined ? {} : { onBehalfOf: this.onBehalfOf }),
      peerAddress: this.peerAddress,
      signal: this.signal,
      timeLeftMs: () => Math.max(0, this.#endsAt - performance.now()),
      notes: this.#notes,
      judged: (verdict, begunAt) => this.onVerdict(verdict, begunAt),
    };
  }

  /** Notes what went wrong, the first time, and gives what the client is to be told. */
  fail(thrown: unknown): Outcome {
    this.#outcome ??= outcomeOf(thrown);
    return this.#outcome;
  }

  /** The answer is out: what follows is no longer a client that went away. */
  answered(): void {
    this.#answered = true;
  }

  /** Ends the call. */
  end(): CallRecord {
    clearTimeout(this.#timer);
    if (!this.#answered) this.fail(this.signal.aborted ? this.signal.reason : cancelled());
    return this.record();
  }

  /** What there is to tell of the call so far. */
  record(): CallRecord {
    const outcome = this.#outcome;
    return {
      requestId: this.requestId,
      method: this.policy.name,
      code: outcome === undefined ? 'OK' : codeName(outcome.error.code),
      reason: outcome?.reason,
      caller: this.caller?.key.id,
      peer: this.peerAddress,
      durationMs: performance.now() - this.#startedAt,
      keyId: this.#notes.keyId,
      keyspace: this.#notes.keyspace,
      count: this.#notes.count,
      dryRun: this.#notes.dryRun,
      judgesTokens: this.policy.judgesTokens,
      verdicts: this.#notes.verdicts ?? [],
      errorId: outcome?.errorId,
      error: outcome?.cause,
    };
  }
}
