/**
 * VerifyStream: many questions on one stream, each answered by itself, in the order in which answers are there.
 *
 * The caller is judged anew for each question, after it has come: whoever was revoked in the middle is told so by the end of
 * the stream, and no question of theirs is answered that came after. No more is read than may be in flight, answers that the
 * client has not taken included.
 */

import { create } from '@bufbuild/protobuf';
import type { Caller } from '../../domain/caller.ts';
import { Failure } from '../../domain/failure.ts';
import {
  type VerifyRequest,
  type VerifyResponse,
  type VerifyStreamRequest,
  VerifyStreamRequestSchema,
  type VerifyStreamResponse,
  VerifyStreamResponseSchema,
} from '../../gen/gatehouse/v1/auth_service_pb.js';
import type { Verdict } from '../../telemetry/call-log.ts';
import type { Call } from '../call.ts';
import { deadlineExceeded } from '../deadline.ts';
import { outcomeOf } from '../errors.ts';
import { assertValid } from '../validation.ts';
import { statusMessage } from './status-message.ts';

/** Questions without an answer, and answers that have not gone out. */
const MAX_IN_FLIGHT = 1024;
/** Milliseconds that one question may take. */
const QUESTION_MS = 5000;

/** Answers one question. @throws Failure as Verify. */
export type Ask = (
  caller: Caller | undefined,
  request: VerifyRequest,
) => Promise<{ readonly response: VerifyResponse; readonly verdict: Verdict }>;

export interface Asking {
  readonly call: Call;
  readonly ask: Ask;
  /** @throws Failure where the caller may verify nothing. */
  readonly mayAsk: (caller: Caller | undefined) => void;
}

/** @throws Failure `unauthenticated` or `denied` where the caller may not, or may not any more. */
export async function* verifyStream(
  asking: Asking,
  questions: AsyncIterable<VerifyStreamRequest>,
): AsyncGenerator<VerifyStreamResponse> {
  const { signal, notes } = asking.call;
  asking.mayAsk(asking.call.caller);
  const answers: VerifyStreamResponse[] = [];
  let [asked, isRead, failed] = [0, false, undefined as unknown];
  let moved = Promise.withResolvers<void>();
  const move = () => {
    moved.resolve();
    moved = Promise.withResolvers<void>();
  };
  signal.addEventListener('abort', move);

  const isOver = () => signal.aborted || failed !== undefined;
  const answerOne = async (question: VerifyStreamRequest) => {
    try {
      answers.push(await answerTo(asking, question));
    } catch (error) {
      failed ??= error;
    }
    asked--;
    move();
  };
  const read = async () => {
    for await (const question of questions) {
      while (asked + answers.length >= MAX_IN_FLIGHT && !isOver()) await moved.promise;
      if (isOver()) return;
      asked++;
      void answerOne(question);
    }
  };
  notes.count ??= 0;
  const reading = read()
    .catch((error: unknown) => {
      failed ??= error;
    })
    .finally(() => {
      isRead = true;
      move();
    });
  void reading;
  try {
    for (;;) {
      for (let answer = answers.shift(); answer !== undefined; answer = answers.shift()) {
        yield answer;
        notes.count = (notes.count ?? 0) + 1;
        move();
      }
      if (signal.aborted) return;
      if (failed !== undefined) throw failed;
      if (isRead && asked === 0 && answers.length === 0) return;
      if (answers.length === 0) await moved.promise;
    }
  } finally {
    // Whoever waits for room waits no more.
    failed ??= new Error('the stream is over');
    signal.removeEventListener('abort', move);
    move();
  }
}

/** @throws Failure where the caller may not call any more; what else goes wrong is the answer to this question alone. */
async function answerTo(asking: Asking, question: VerifyStreamRequest): Promise<VerifyStreamResponse> {
  const begun = performance.now();
  const tell = (verdict: Verdict) => asking.call.judged(verdict, begun);
  try {
    assertValid(VerifyStreamRequestSchema, question);
    const { id, request } = question;
    if (request === undefined) throw new Error('a valid question has a request');
    const { response, verdict } = await inTime(asking.ask(await callerNow(asking), request));
    tell(verdict);
    return create(VerifyStreamResponseSchema, { id, result: { case: 'response', value: response } });
  } catch (error) {
    if (error instanceof CallerRefused) throw error.cause;
    const outcome = outcomeOf(error);
    const { reason, errorId, cause } = outcome;
    tell({ status: 'error', reason, errorId, cause });
    const value = statusMessage(outcome);
    return create(VerifyStreamResponseSchema, { id: question.id, result: { case: 'error', value } });
  }
}

/** The caller may not go on: the stream's end, not one question's. */
class CallerRefused extends Error {}

/** @throws CallerRefused; what else keeps it from being judged is one question's. */
async function callerNow({ call, mayAsk }: Asking): Promise<Caller | undefined> {
  try {
    const caller = call.caller && (await call.judgedAgain());
    mayAsk(caller);
    return caller;
  } catch (error) {
    const isRefusal =
      error instanceof Failure && (error.kind === 'unauthenticated' || error.kind === 'denied');
    throw isRefusal ? new CallerRefused('the caller may not go on', { cause: error }) : error;
  }
}

async function inTime<Answer>(work: Promise<Answer>): Promise<Answer> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(deadlineExceeded()), QUESTION_MS);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
