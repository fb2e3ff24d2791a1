/** What a failed call tells: the code, and the details that Gatehouse sends with it. */

import type { status } from '@grpc/grpc-js';

/** Name of a gRPC status code, such as `NOT_FOUND`. */
export type CodeName = Exclude<keyof typeof status, 'OK'>;

/** One field of the request that breaks a rule. `field` is a path such as `key.allowed_cidrs[2]`. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/** What google.rpc.Status and its details add to the code. */
export interface RpcErrorDetails {
  readonly message?: string;
  readonly reason?: string;
  readonly violations: readonly FieldViolation[];
  readonly retryAfter?: number;
}

/** A call that got no answer, whether the server refused it or never heard of it. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly code: CodeName;
  /** google.rpc.ErrorInfo's reason, such as `KEY_REVOKED`. Absent: the error was not made by Gatehouse. */
  readonly reason: string | undefined;
  /** google.rpc.BadRequest's fields, in their order; empty where there are none. */
  readonly violations: readonly FieldViolation[];
  /** google.rpc.RetryInfo, in milliseconds. Absent: the server does not say. */
  readonly retryAfter: number | undefined;

  constructor(code: CodeName, message: string, details: RpcErrorDetails = { violations: [] }) {
    super(details.message ?? message);
    this.code = code;
    this.reason = details.reason;
    this.violations = details.violations;
    this.retryAfter = details.retryAfter;
  }
}
