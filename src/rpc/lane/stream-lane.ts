/** The short way of VerifyStream: which streams may take it, and what it needs of their exchange with the client. */

import { beginAnswer, cutOff, drained, writePart } from '../answer.ts';
import type { Exchange } from '../exchange.ts';
import type { Callers } from './callers.ts';
import { Http2Questions } from './http2-questions.ts';
import { readMetadata } from './metadata.ts';
import type { PlainAnswers } from './plain-answers.ts';
import { QuestionStream } from './question-stream.ts';

const VERIFY_STREAM = 'gatehouse.v1.AuthService/VerifyStream';

export class StreamLane {
  readonly #callers: Callers;
  readonly #answers: PlainAnswers;

  constructor(callers: Callers, answers: PlainAnswers) {
    this.#callers = callers;
    this.#answers = answers;
  }

  /**
   * Takes over the reading of a stream whose caller was let in.
   *
   * @returns undefined where all of it goes the long way.
   */
  take(exchange: Exchange): Http2Questions | undefined {
    const { request, response, peerAddress, signal } = exchange;
    if (exchange.policy.name !== VERIFY_STREAM || !('stream' in request)) return undefined;
    const metadata = readMetadata(exchange.headers);
    if (metadata === undefined) return undefined;
    const { notes, judged } = exchange.call();
    const { acceptsGzip } = metadata;
    const questions = new QuestionStream(this.#callers, this.#answers, {
      credentials: metadata,
      acceptsGzip,
      peerAddress: () => peerAddress,
      judged,
    });
    const header = new Headers({ 'content-type': 'application/grpc+proto' });
    if (acceptsGzip) header.set('grpc-encoding', 'gzip');
    const reading = new Http2Questions(request.stream, {
      questions,
      begin: () => beginAnswer(exchange, 200, header),
      write: (bytes) => writePart(exchange, bytes),
      drained: () => drained(response),
      stalled: () => exchange.abort(cutOff(exchange)),
      failed: (error) => exchange.abort(error instanceof Error ? error : new Error(String(error))),
      answered: (count) => {
        notes.count = (notes.count ?? 0) + count;
      },
    });
    signal.addEventListener('abort', () => reading.stop());
    return reading;
  }
}
