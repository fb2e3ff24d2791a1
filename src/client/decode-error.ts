/** From a failed call of grpc-js to an RpcError. */

import { createRegistry, fromBinary } from '@bufbuild/protobuf';
import { anyUnpack, durationMs } from '@bufbuild/protobuf/wkt';
import { status as Code, type ServiceError } from '@grpc/grpc-js';
import {
  type BadRequest,
  BadRequestSchema,
  type ErrorInfo,
  ErrorInfoSchema,
  type RetryInfo,
  RetryInfoSchema,
} from '../gen/google/rpc/error_details_pb.js';
import { StatusSchema } from '../gen/google/rpc/status_pb.js';
import { type CodeName, RpcError, type RpcErrorDetails } from './rpc-error.ts';

const DETAILS = createRegistry(ErrorInfoSchema, BadRequestSchema, RetryInfoSchema);

/** The error of a grpc-js call, its details decoded from `grpc-status-details-bin`. */
export function rpcErrorOf(error: ServiceError): RpcError {
  const [bytes] = error.metadata?.get('grpc-status-details-bin') ?? [];
  const details = bytes instanceof Uint8Array ? decodeDetails(bytes) : undefined;
  return new RpcError(codeName(error.code), error.details, details);
}

function codeName(code: number): CodeName {
  const found = Object.entries(Code).find(([, value]) => value === code)?.[0];
  return (found ?? 'UNKNOWN') as CodeName;
}

/** Undefined where the bytes are no google.rpc.Status: the code stands without them. */
function decodeDetails(bytes: Uint8Array): RpcErrorDetails | undefined {
  try {
    const { message, details } = fromBinary(StatusSchema, bytes);
    const found = details.map((any) => anyUnpack(any, DETAILS));
    const info = found.find((one): one is ErrorInfo => one?.$typeName === ErrorInfoSchema.typeName);
    const bad = found.filter((one): one is BadRequest => one?.$typeName === BadRequestSchema.typeName);
    const retry = found.find(
      (one): one is RetryInfo => one?.$typeName === RetryInfoSchema.typeName,
    )?.retryDelay;
    return {
      violations: bad.flatMap((one) =>
        one.fieldViolations.map(({ field, description }) => ({ field, description })),
      ),
      // The Status has the message as it is, while grpc-message depends on how each side spells percent.
      ...(message === '' ? {} : { message }),
      ...(info === undefined ? {} : { reason: info.reason }),
      ...(retry === undefined ? {} : { retryAfter: durationMs(retry) }),
    };
  } catch {
    return undefined;
  }
}
