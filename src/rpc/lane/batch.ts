/** A VerifyBatch of plain questions: its message in bytes, its answer in bytes. */

import type { Scope } from '../handlers/verify.ts';
import { ENVELOPE_BYTES, lengthBytes, writeTag } from './envelope.ts';
import { readSpan, type Span } from './fields.ts';
import type { PlainAnswer, PlainAnswers } from './plain-answers.ts';

const REQUESTS = 0x0a;
const RESULTS = 0x0a;
const RESPONSE = 0x0a;
const MAX_QUESTIONS = 100;

/**
 * Answers each question of a VerifyBatchRequest between `from` and the end of `body`.
 *
 * @returns undefined where the long way has to answer the batch.
 */
export function answerEach(
  answers: PlainAnswers,
  body: Buffer,
  from: number,
  mayVerify: Scope,
): readonly [PlainAnswer, ...PlainAnswer[]] | undefined {
  const given: PlainAnswer[] = [];
  const span: Span = { begin: from, end: from };
  while (span.end < body.length) {
    const tag = body[span.end];
    if (tag !== REQUESTS || !readSpan(body, span.end, body.length, span)) return undefined;
    const answer = answers.to(body, span.begin, span.end, mayVerify);
    if (answer === undefined || given.push(answer) > MAX_QUESTIONS) return undefined;
  }
  const [first, ...others] = given;
  return first && [first, ...others];
}

/** A VerifyBatchResponse in its envelope. */
export function batchBytes(answers: readonly PlainAnswer[]): Buffer {
  let size = ENVELOPE_BYTES;
  for (const { bytes } of answers) size += resultBytes(bytes.length - ENVELOPE_BYTES);
  const batch = Buffer.allocUnsafe(size);
  batch[0] = 0;
  batch.writeUInt32BE(size - ENVELOPE_BYTES, 1);
  let at = ENVELOPE_BYTES;
  for (const { bytes } of answers) {
    const length = bytes.length - ENVELOPE_BYTES;
    at = writeTag(batch, at, RESULTS, 1 + lengthBytes(length) + length);
    at = writeTag(batch, at, RESPONSE, length);
    at += bytes.copy(batch, at, ENVELOPE_BYTES);
  }
  return batch;
}

/** Bytes of a response within a result within the batch. */
function resultBytes(length: number): number {
  const result = 1 + lengthBytes(length) + length;
  return 1 + lengthBytes(result) + result;
}
