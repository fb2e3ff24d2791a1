/** What answers to mutated calls may never say. */

import { gunzipSync } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import { VerifyResponseSchema, VerifyStatus } from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { type Frame, TYPE } from '../support/http2-peer.ts';

const ENVELOPE_BYTES = 5;
/** A VerifyResponse that accepts begins so, by itself, in a batch or on a stream. */
const ACCEPTS = Buffer.from(
  toBinary(VerifyResponseSchema, create(VerifyResponseSchema, { valid: true, status: VerifyStatus.VALID })),
);

/** What came on each stream that was answered. */
export function bodiesOf(frames: readonly Frame[]): Map<number, Buffer> {
  const parts = new Map<number, Buffer[]>();
  for (const { type, stream, payload } of frames) {
    if (type === TYPE.headers && !parts.has(stream)) parts.set(stream, []);
    else if (type === TYPE.data) parts.set(stream, [...(parts.get(stream) ?? []), payload]);
  }
  return new Map([...parts].map(([stream, some]) => [stream, Buffer.concat(some)]));
}

/** @param dead its caller is revoked. @returns whether it accepts a token, or tells a revoked caller anything but an error. */
export function isAccepted(body: Buffer, dead: boolean): boolean {
  if (body.length === 0) return false;
  const accepts = [body, ...messagesOf(body)].some(
    (part) =>
      // In no other answer of these methods is the first field a number.
      ACCEPTS.subarray(0, 2).equals(part.subarray(0, 2)) ||
      part.includes(ACCEPTS) ||
      part.includes('"valid":true'),
  );
  const answers = (body[0] ?? 0) < 2 || (body[0] === 0x7b && isAnswer(body.toString()));
  return accepts || (dead && answers);
}

/** Of JSON. The error of a batch's item has a code as well, but so has no batch a dead caller. */
function isAnswer(text: string): boolean {
  try {
    return !('code' in JSON.parse(text));
  } catch {
    // A part of one: its reader had no window for more.
    return false;
  }
}

/** The messages of a body in envelopes, unpacked; none where it has no envelopes. The last may have been cut off. */
export function messagesOf(body: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at + ENVELOPE_BYTES <= body.length; ) {
    const [flags, begin] = [body.readUInt8(at), at + ENVELOPE_BYTES];
    if (flags > 1) return messages;
    at = begin + body.readUInt32BE(at + 1);
    const message = body.subarray(begin, at);
    messages.push(flags === 1 && at <= body.length ? gunzipSync(message) : message);
  }
  return messages;
}
