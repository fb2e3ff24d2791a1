/** What each method asks of a call before its handler runs. */

import type { DescMethod } from '@bufbuild/protobuf';

/** `public`: anyone, and credentials are not looked at. `optional`: anyone, but a credential that is sent must be good. */
export type Access = 'public' | 'optional' | 'required';

export interface MethodPolicy {
  /** `gatehouse.v1.KeyService/CreateKey`. */
  readonly name: string;
  readonly service: string;
  readonly method: string;
  readonly access: Access;
  /** Judge the caller against the system of record, as writes do. */
  readonly strong: boolean;
  /** Bytes of one message, before and after decompression. */
  readonly maxBytes: number;
  readonly streaming: boolean;
  /** False: in the contract, but without an implementation here. */
  readonly offered: boolean;
  /** Its log lines are those of judged tokens. */
  readonly judgesTokens: boolean;
}

/** What is no method of any service. */
export const UNKNOWN_METHOD: MethodPolicy = {
  name: 'unknown',
  service: 'unknown',
  method: 'unknown',
  access: 'public',
  strong: false,
  maxBytes: 0,
  streaming: false,
  offered: false,
  judgesTokens: false,
};

const AUTH_SERVICE = 'gatehouse.v1.AuthService';
const KIB = 1024;
const DEFAULT_MAX_BYTES = 64 * KIB;
const MAX_BYTES: Readonly<Record<string, number>> = {
  [`${AUTH_SERVICE}/VerifyBatch`]: KIB * KIB,
  'gatehouse.v1.KeyService/ImportKeys': 4 * KIB * KIB,
};
const PUBLIC_SERVICES = [
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
];
const READS = /^(Get|List|Verify|Watch)/;

/** @param verifyAccess `open`: AuthService answers anyone who can reach the port. */
export function policyOf(method: DescMethod, verifyAccess: 'key' | 'open', offered: boolean): MethodPolicy {
  const service = method.parent.typeName;
  const name = `${service}/${method.name}`;
  return {
    name,
    service,
    method: method.name,
    access: accessOf(service, method.name, verifyAccess),
    strong: !READS.test(method.name),
    maxBytes: maxBytesOf(method),
    streaming: method.methodKind !== 'unary',
    offered,
    judgesTokens: name === `${AUTH_SERVICE}/Verify` || name === `${AUTH_SERVICE}/VerifyBatch`,
  };
}

function accessOf(service: string, method: string, verifyAccess: 'key' | 'open'): Access {
  if (PUBLIC_SERVICES.includes(service)) return 'public';
  // WatchRevocations tells of every change, which is more than who asks about a key it has may know.
  const open = verifyAccess === 'open' && service === AUTH_SERVICE && method !== 'WatchRevocations';
  return open ? 'optional' : 'required';
}

/** Bytes that one message of a method may have. */
export function maxBytesOf(method: DescMethod): number {
  return MAX_BYTES[`${method.parent.typeName}/${method.name}`] ?? DEFAULT_MAX_BYTES;
}
