/** What a handler knows of its call. */

import { createContextKey, type HandlerContext } from '@connectrpc/connect';
import type { Caller } from '../domain/caller.ts';
import { Failure } from '../domain/failure.ts';
import type { Verdict } from '../telemetry/call-log.ts';

/** What a handler tells the log line of its call: never a token, never a text from a body. */
export interface CallNotes {
  /** Id of the key that the call is about. */
  keyId?: string | undefined;
  /** Id of an existing keyspace that the call is about. */
  keyspace?: string | undefined;
  /** Verify and VerifyBatch: one for each token, in order. */
  verdicts?: readonly Verdict[] | undefined;
  /** How many things a call over several was about. */
  count?: number | undefined;
  /** It only showed what it would do. */
  dryRun?: true | undefined;
}

export interface Call {
  /** The client's `x-request-id`, or one made here. */
  readonly requestId: string;
  /** Undefined only where the method lets anyone in. */
  readonly caller: Caller | undefined;
  /**
   * The caller as it is now, for a call that lasts.
   *
   * @throws Failure as for one that begins now.
   */
  readonly judgedAgain: () => Promise<Caller>;
  /** From `x-gatehouse-on-behalf-of`: recorded with a change, as unverified. */
  readonly onBehalfOf?: string;
  /** Address of the TCP peer, IPv4 or IPv6; undefined once the peer is gone. */
  readonly peerAddress: string | undefined;
  /** Aborted at the deadline, when the client goes away, and when the service stops for good. */
  readonly signal: AbortSignal;
  /** Milliseconds until the deadline; Infinity where there is none (streams). */
  readonly timeLeftMs: () => number;
  readonly notes: CallNotes;
  /**
   * Tells of one token of a call that judges them as it goes: now, and not when it ends.
   *
   * @param begunAt by `performance.now()`.
   */
  readonly judged: (verdict: Verdict, begunAt: number) => void;
}

/** Where the pipeline puts the call. */
export const callKey = createContextKey<Call | undefined>(undefined, { description: 'gatehouse call' });

/** The call that a handler was called for. */
export function callOf(context: Pick<HandlerContext, 'values'>): Call {
  const call = context.values.get(callKey);
  if (call === undefined) throw new Error('the handler was called around the pipeline');
  return call;
}

/**
 * The caller of a method that does not let just anyone in.
 *
 * @throws Failure `unauthenticated` CREDENTIALS_MISSING.
 */
export function callerOf(call: Call): Caller {
  if (call.caller === undefined) throw credentialsMissing();
  return call.caller;
}

export function credentialsMissing(): Failure {
  return new Failure(
    'unauthenticated',
    'CREDENTIALS_MISSING',
    'this call needs a key: send "authorization: Bearer <key>" or "x-api-key: <key>"',
  );
}
