/** Answers plain questions from what is in memory, without leaving anything behind of them. */

import type { Verifier, VerifyAnswer } from '../../verification/verifier.ts';
import type { Scope } from '../handlers/verify.ts';
import { AnswerBytes } from './answer-bytes.ts';
import { plainQuestion } from './question.ts';

export interface PlainAnswer {
  readonly answered: VerifyAnswer;
  /** A VerifyResponse in its envelope. */
  readonly bytes: Buffer;
}

export class PlainAnswers {
  readonly #verifier: Verifier;
  readonly #bytes = new AnswerBytes();

  constructor(verifier: Verifier) {
    this.#verifier = verifier;
  }

  /** To be called first in each turn. @returns false where nothing may be answered from memory now. */
  beginTurn(): boolean {
    return this.#verifier.beginTurn();
  }

  /**
   * @param bytes with a VerifyRequest between `from` and `to`.
   * @returns undefined where the long way has to answer. Else `countUse` is still to be called.
   */
  to(bytes: Buffer, from: number, to: number, mayVerify: Scope): PlainAnswer | undefined {
    const question = plainQuestion(bytes, from, to);
    const answered = question && this.#verifier.verifyAtHand(question, mayVerify);
    return answered && { answered, bytes: this.#bytes.of(answered) };
  }

  /**
   * Reads into memory what an answer takes.
   *
   * @returns undefined where there would be none all the same, as far as can be told. Rejects where the store has no answer.
   */
  readAhead(bytes: Buffer, from: number, to: number): Promise<unknown> | undefined {
    const question = plainQuestion(bytes, from, to);
    return question && this.#verifier.readAhead(question.token);
  }

  countUse({ answered }: PlainAnswer): void {
    this.#verifier.countUse(answered);
  }
}
