/** The one table from what can go wrong to what a client is told. */

import { randomBytes } from 'node:crypto';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { codeToString } from '@connectrpc/connect/protocol-connect';
import { Failure, type FailureKind, type Violation } from '../domain/failure.ts';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '../gen/google/rpc/error_details_pb.js';

const CODES: Readonly<Record<FailureKind, Code>> = {
  invalid: Code.InvalidArgument,
  unauthenticated: Code.Unauthenticated,
  denied: Code.PermissionDenied,
  'not-found': Code.NotFound,
  'already-exists': Code.AlreadyExists,
  precondition: Code.FailedPrecondition,
  conflict: Code.Aborted,
  exhausted: Code.ResourceExhausted,
  unavailable: Code.Unavailable,
  deadline: Code.DeadlineExceeded,
  unimplemented: Code.Unimplemented,
};

const DOMAIN = 'gatehouse';
/** More violations are not told: details travel in a trailer, and clients take 8 KiB of those. */
export const MAX_VIOLATIONS = 20;
const MAX_TEXT = 300;
const DEFAULT_RETRY_MS = 1000;

/** An error as it leaves, and what of it goes into the log. */
export interface Outcome {
  readonly error: ConnectError;
  readonly reason: string;
  /** INTERNAL only: the id that the client was given. */
  readonly errorId?: string;
  /** What really happened, for the log alone: with INTERNAL the error itself, else the cause of the failure, if any. */
  readonly cause?: unknown;
}

type Details = NonNullable<ConstructorParameters<typeof ConnectError>[3]>;

/** gRPC's name of a code: `INVALID_ARGUMENT`, `CANCELLED`. */
export function codeName(code: Code): string {
  return code === Code.Canceled ? 'CANCELLED' : codeToString(code).toUpperCase();
}

/** Turns anything that was thrown into what the client is told. What nobody foresaw is INTERNAL, with an id. */
export function outcomeOf(thrown: unknown): Outcome {
  if (thrown instanceof Failure) return ofFailure(thrown);
  if (thrown instanceof ConnectError && isForClients(thrown)) return ofConnectError(thrown);
  return ofUnexpected(thrown);
}

function ofFailure(failure: Failure): Outcome {
  const code = CODES[failure.kind];
  const retryMs = failure.retryAfterMs ?? defaultRetryMs(code);
  const details: Details = [errorInfo(failure.reason)];
  if (failure.violations.length > 0) details.push(badRequest(failure.violations));
  if (retryMs !== undefined) details.push(retryInfo(retryMs));
  const error = connectError(failure.message, code, details);
  return { error, reason: failure.reason, cause: failure.cause };
}

function defaultRetryMs(code: Code): number | undefined {
  return code === Code.Unavailable || code === Code.DeadlineExceeded ? DEFAULT_RETRY_MS : undefined;
}

// These two come from Connect's own router (a method without handler, a call with two messages) and from the client's
// going away. Any other that we did not make ourselves may carry another server's or the body's words.
function isForClients(error: ConnectError): boolean {
  return !error.isWireError && (error.code === Code.Unimplemented || error.code === Code.Canceled);
}

function ofConnectError(error: ConnectError): Outcome {
  const reason = codeName(error.code);
  return { error: connectError(error.rawMessage, error.code, [errorInfo(reason)]), reason };
}

function ofUnexpected(cause: unknown): Outcome {
  const errorId = `err_${randomBytes(10).toString('hex')}`;
  const details = [errorInfo('INTERNAL', { error_id: errorId })];
  const error = connectError(`something went wrong here, error id ${errorId}`, Code.Internal, details);
  return { error, reason: 'INTERNAL', errorId, cause };
}

/** The client went away. */
export function cancelled(): ConnectError {
  return new ConnectError('the client cancelled the call', Code.Canceled);
}

// An unpaired surrogate (a text that was cut in the middle) would make encodeURIComponent throw.
function connectError(message: string, code: Code, details: Details): ConnectError {
  return new ConnectError(message.toWellFormed(), code, undefined, details);
}

function errorInfo(reason: string, metadata: Record<string, string> = {}): Details[number] {
  return { desc: ErrorInfoSchema, value: { reason, domain: DOMAIN, metadata } };
}

function badRequest(violations: readonly Violation[]): Details[number] {
  const fieldViolations = violations.slice(0, MAX_VIOLATIONS).map(({ field, description }) => ({
    field: field.slice(0, MAX_TEXT).toWellFormed(),
    description: description.slice(0, MAX_TEXT).toWellFormed(),
  }));
  return { desc: BadRequestSchema, value: { fieldViolations } };
}

function retryInfo(ms: number): Details[number] {
  return { desc: RetryInfoSchema, value: { retryDelay: durationFromMs(Math.floor(ms)) } };
}
