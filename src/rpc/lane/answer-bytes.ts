/**
 * Answers of Verify as gRPC messages with their envelope. Building and encoding one takes ten microseconds, so what is
 * known of a valid key is encoded once for each version of its records; the verdict itself is made each time.
 */

import { create, toBinary } from '@bufbuild/protobuf';
import { DurationSchema, durationFromMs } from '@bufbuild/protobuf/wkt';
import type { StandingKey } from '../../domain/standing.ts';
import { VerifyResponseSchema } from '../../gen/gatehouse/v1/auth_service_pb.js';
import type { VerifyAnswer } from '../../verification/verifier.ts';
import { responseOf } from '../handlers/verify.ts';
import { ENVELOPE_BYTES, enveloped } from './envelope.ts';

/** Tag of `cacheable_for`, the last field of a valid answer, and the one that time changes. */
const CACHEABLE_FOR = 0x3a;

export class AnswerBytes {
  /** By the key as it stands, which is another object as soon as any of its records is another one. */
  readonly #valid = new WeakMap<StandingKey, Buffer>();

  of(answered: VerifyAnswer): Buffer {
    const { key, status, secretAge, recordAge, reusableFor } = answered;
    const isUsual = status === 'valid' && secretAge === 'current' && recordAge === 0;
    if (!isUsual || key === undefined || answered.checks.length > 0) {
      return enveloped(toBinary(VerifyResponseSchema, responseOf(answered)));
    }
    let known = this.#valid.get(key);
    if (known === undefined) {
      known = enveloped(toBinary(VerifyResponseSchema, responseOf({ ...answered, reusableFor: 0 })));
      this.#valid.set(key, known);
    }
    return reusableFor === 0 ? known : withReuse(known, reusableFor);
  }
}

/** @param known an answer that ends with an empty `cacheable_for`. */
function withReuse(known: Buffer, reusableFor: number): Buffer {
  const duration = toBinary(DurationSchema, create(DurationSchema, durationFromMs(reusableFor)));
  const bytes = Buffer.concat([
    known.subarray(0, -2),
    Buffer.from([CACHEABLE_FOR, duration.length]),
    duration,
  ]);
  bytes.writeUInt32BE(bytes.length - ENVELOPE_BYTES, 1);
  return bytes;
}
