/**
 * The short way of VerifyStream: plain questions of a stream, answered from what is in memory in the turn in which they are
 * read, in bytes. What it does not answer it gives back as it came, for the long way, from where it goes on by itself.
 */

import type { Verdict } from '../../telemetry/call-log.ts';
import { verdictOf } from '../handlers/verify.ts';
import type { Acquaintance, Asker, Callers, Credentials } from './callers.ts';
import { COMPRESSED_FROM, ENVELOPE_BYTES, lengthBytes, writeTag } from './envelope.ts';
import { isPlainText, readSpan, type Span } from './fields.ts';
import type { PlainAnswer, PlainAnswers } from './plain-answers.ts';

/** Fields of the messages, as tags. */
const ID = 0x0a;
const REQUEST = 0x12;
const RESPONSE = 0x12;
const MAX_ID = 64;
const MAX_BYTES = 64 * 1024;
/** Bytes of answers that go out in one piece. No more are made before it has room on its way. */
const PIECE_BYTES = 64 * 1024;
const NOTHING = Buffer.alloc(0);
/** Where a piece is put together: one for all streams, since none of them leaves a turn with it. */
const piece = Buffer.allocUnsafeSlow(PIECE_BYTES);

/** A stream's client and where its verdicts are told. */
export interface Questioner {
  readonly credentials: Credentials;
  /** Then what the long way would compress is left to it. */
  readonly acceptsGzip: boolean;
  readonly peerAddress: () => string | undefined;
  /** @param begunAt by `performance.now()`. */
  readonly judged: (verdict: Verdict, begunAt: number) => void;
}

/** What became of the bytes so far. */
export interface Step {
  /** Answers in their envelopes; empty for none. */
  readonly answers: Buffer;
  /** How many they are. */
  readonly count: number;
  /** For the long way, in their order. */
  readonly unanswered: readonly Buffer[];
  /** Whether the rest waits for these answers to be on their way: call `step` again then. */
  readonly isFull: boolean;
}

export class QuestionStream {
  readonly #callers: Callers;
  readonly #answers: PlainAnswers;
  readonly #from: Questioner;
  readonly #acquaintance: Acquaintance = {};
  /** Not looked at yet. */
  #rest: Buffer = NOTHING;
  /** An envelope came that is not plain: whatever follows it is the long way's. */
  #isOver = false;
  readonly #span: Span = { begin: 0, end: 0 };
  readonly #id: Span = { begin: 0, end: 0 };

  constructor(callers: Callers, answers: PlainAnswers, from: Questioner) {
    this.#callers = callers;
    this.#answers = answers;
    this.#from = from;
  }

  /** What is left when no more bytes come: an envelope that is not whole. */
  get rest(): Buffer {
    return this.#rest;
  }

  /**
   * Answers what it can of the bytes so far. The caller is judged once for all of it: nothing else happens in between.
   *
   * @param more bytes that came.
   */
  step(more: readonly Buffer[]): Step {
    const begunAt = performance.now();
    const bytes = this.#joined(more);
    const asker = !this.#isOver && this.#answers.beginTurn() ? this.#asker() : undefined;
    const unanswered: Buffer[] = [];
    let [at, written, count, isFull] = [0, 0, 0, false];
    while (!this.#isOver && bytes.length - at >= ENVELOPE_BYTES) {
      const end = at + ENVELOPE_BYTES + bytes.readUInt32BE(at + 1);
      if (bytes[at] !== 0 || end - at > MAX_BYTES) this.#isOver = true;
      if (this.#isOver || end > bytes.length) break;
      const answer = asker && this.#answerTo(bytes, at + ENVELOPE_BYTES, end, asker);
      if (answer === undefined) {
        unanswered.push(bytes.subarray(at, end));
      } else {
        const after = this.#write(bytes, answer, written);
        isFull = after === undefined;
        if (after === undefined) break;
        written = after;
        count++;
        this.#answers.countUse(answer);
        this.#from.judged(verdictOf(answer.answered), begunAt);
      }
      at = end;
    }
    // An empty part of them would keep all of them in memory for as long as nothing comes.
    this.#rest = at === bytes.length ? NOTHING : bytes.subarray(at);
    if (this.#isOver && this.#rest.length > 0) {
      unanswered.push(this.#rest);
      this.#rest = NOTHING;
    }
    return { answers: Buffer.from(piece.subarray(0, written)), count, unanswered, isFull };
  }

  #joined(more: readonly Buffer[]): Buffer {
    const [first = NOTHING, ...others] = this.#rest.length === 0 ? more : [this.#rest, ...more];
    return others.length === 0 ? first : Buffer.concat([first, ...others]);
  }

  #asker(): Asker | undefined {
    return this.#callers.asking(this.#from.credentials, this.#acquaintance, this.#from.peerAddress);
  }

  /** @returns undefined where the long way has to answer. */
  #answerTo(bytes: Buffer, from: number, to: number, asker: Asker): PlainAnswer | undefined {
    const [span, id] = [this.#span, this.#id];
    if (bytes[from] !== ID || !readSpan(bytes, from, to, id)) return undefined;
    const length = id.end - id.begin;
    if (length === 0 || length > MAX_ID || !isPlainText(bytes, id.begin, id.end)) return undefined;
    if (bytes[id.end] !== REQUEST || !readSpan(bytes, id.end, to, span) || span.end !== to) return undefined;
    const answer = this.#answers.to(bytes, span.begin, span.end, asker.mayVerify);
    if (answer === undefined) return undefined;
    const size = ENVELOPE_BYTES + answeredBytes(length, answer);
    if (size > PIECE_BYTES || (this.#from.acceptsGzip && size - ENVELOPE_BYTES >= COMPRESSED_FROM))
      return undefined;
    return answer;
  }

  /** Writes an answer under the id of its question. @returns where the next begins; undefined where it has no room. */
  #write(bytes: Buffer, answer: PlainAnswer, at: number): number | undefined {
    const { begin, end } = this.#id;
    const size = answeredBytes(end - begin, answer);
    if (at + ENVELOPE_BYTES + size > PIECE_BYTES) return undefined;
    piece[at] = 0;
    piece.writeUInt32BE(size, at + 1);
    let next = writeTag(piece, at + ENVELOPE_BYTES, ID, end - begin);
    next += bytes.copy(piece, next, begin, end);
    next = writeTag(piece, next, RESPONSE, answer.bytes.length - ENVELOPE_BYTES);
    return next + answer.bytes.copy(piece, next, ENVELOPE_BYTES);
  }
}

/** Bytes of a VerifyStreamResponse. */
function answeredBytes(idLength: number, { bytes }: PlainAnswer): number {
  const length = bytes.length - ENVELOPE_BYTES;
  return 2 + idLength + 1 + lengthBytes(length) + length;
}
