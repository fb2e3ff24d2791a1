/**
 * What can go wrong, in Gatehouse's own words. Everything below the rpc folder throws only this;
 * `rpc/errors.ts` is the one place that turns it into a gRPC status.
 */

/** Kinds of failure; each has exactly one gRPC code (see `rpc/errors.ts`). */
export type FailureKind =
  | 'invalid'
  | 'unauthenticated'
  | 'denied'
  | 'not-found'
  | 'already-exists'
  | 'precondition'
  | 'conflict'
  | 'exhausted'
  | 'unavailable'
  | 'deadline'
  | 'unimplemented';

/** One field of a request that breaks a rule. `field` is a path such as `key.allowed_cidrs[2]`. */
export interface Violation {
  readonly field: string;
  readonly description: string;
}

/**
 * A refusal with a reason that programs can read. The message is shown to the caller as it is, so it
 * never carries a token, a driver's message or a stack.
 */
export class Failure extends Error {
  readonly kind: FailureKind;
  /** UPPER_SNAKE_CASE, listed in docs/errors.md; sent as google.rpc.ErrorInfo.reason. */
  readonly reason: string;
  readonly violations: readonly Violation[];
  /** How long to wait before trying again, in milliseconds; set for `unavailable` and `exhausted`. */
  readonly retryAfterMs: number | undefined;

  constructor(
    kind: FailureKind,
    reason: string,
    message: string,
    options: { violations?: readonly Violation[]; retryAfterMs?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Failure';
    this.kind = kind;
    this.reason = reason;
    this.violations = options.violations ?? [];
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** A rule broken by one field of the request. */
export function invalid(field: string, description: string): Failure {
  return invalidFields([{ field, description }]);
}

/** Rules broken by several fields; the message names the first. */
export function invalidFields(violations: readonly Violation[]): Failure {
  const [first] = violations;
  const more = violations.length > 1 ? ` (and ${violations.length - 1} more)` : '';
  const message =
    first === undefined ? 'the request is not valid' : `${first.field}: ${first.description}${more}`;
  return new Failure('invalid', 'INVALID_FIELD', message, { violations });
}

/** The record is not there, or the caller may not know that it is. */
export function notFound(what: string): Failure {
  return new Failure('not-found', 'NOT_FOUND', `${what} was not found`);
}

export function denied(reason: string, message: string): Failure {
  return new Failure('denied', reason, message);
}

/** Whether it may pass by itself, since somebody could not answer. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof Failure && error.kind === 'unavailable';
}

/** The system of record cannot answer now. Its own message stays in `cause`, for the log alone. */
export function storeUnavailable(cause: unknown): Failure {
  return new Failure('unavailable', 'STORE_UNAVAILABLE', 'the store cannot answer now', {
    retryAfterMs: 1000,
    cause,
  });
}
