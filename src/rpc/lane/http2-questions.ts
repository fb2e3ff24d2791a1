/**
 * A VerifyStream on node:http2: its questions are read past the request object, and those that came in one turn of the event
 * loop are answered together, in one write. What the short way does not answer is read by the long way as the stream's body.
 */

import type { ServerHttp2Stream } from 'node:http2';
import { cancelled } from '../errors.ts';
import type { QuestionStream } from './question-stream.ts';

/** Bytes that may wait for the long way, which takes one as soon as it may have one more in flight. */
const MAX_WAITING = 64 * 1024;

export interface Answering {
  readonly questions: QuestionStream;
  /** Begins the answer, where that was not done. @returns false where nobody waits for it any more. */
  readonly begin: () => boolean;
  /** Writes. @returns false where no more is to be written until `drained`. */
  readonly write: (bytes: Buffer) => boolean;
  /** Resolves once there is room again: false where the client does not read, or is gone. */
  readonly drained: () => Promise<boolean>;
  /** Told of the client that does not read. */
  readonly stalled: () => void;
  /** Told of a defect: nobody else would see it in a turn of its own, and it would end the process. */
  readonly failed: (error: unknown) => void;
  /** Told how many questions were answered. */
  readonly answered: (count: number) => void;
}

export class Http2Questions {
  readonly #stream: ServerHttp2Stream;
  readonly #answering: Answering;
  /** Came in this turn. */
  #arrived: Buffer[] = [];
  #isDue = false;
  /** The answers before have no room yet. */
  #isFull = false;
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #state: 'open' | 'ended' | 'failed' = 'open';
  #hasEnded = false;
  #moved = Promise.withResolvers<void>();

  constructor(stream: ServerHttp2Stream, answering: Answering) {
    this.#stream = stream;
    this.#answering = answering;
    stream.on('data', this.#onData);
    stream.on('end', this.#onEnd);
    stream.on('close', this.#onClose);
    // That of a stream without any byte is told as soon as it comes, read or not.
    if (stream.readableEnded) this.#onEnd();
  }

  /** Answers no more. */
  stop(): void {
    const stream = this.#stream;
    this.#state = 'failed';
    stream.off('data', this.#onData);
    stream.off('end', this.#onEnd);
    stream.off('close', this.#onClose);
    this.#move();
  }

  /** The stream's body without what was answered. @throws ConnectError `canceled` where the client goes away. */
  async *unanswered(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.#waiting.shift();
      if (chunk !== undefined) {
        this.#waitingBytes -= chunk.length;
        this.#mayGoOn();
        yield chunk;
      } else if (this.#state === 'ended') {
        return;
      } else if (this.#state === 'failed') {
        throw cancelled();
      } else {
        await this.#moved.promise;
      }
    }
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#arrived.push(chunk);
    this.#due();
  };

  readonly #onEnd = (): void => {
    this.#hasEnded = true;
    this.#due();
  };

  readonly #onClose = (): void => {
    if (this.#state === 'ended') return;
    this.#state = 'failed';
    this.#move();
  };

  /** After all that this turn brings. */
  #due(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    this.#isDue = false;
    if (this.#state !== 'open' || this.#isFull) return;
    try {
      this.#step();
    } catch (error) {
      this.#answering.failed(error);
    }
  };

  #step(): void {
    const { questions, answered } = this.#answering;
    const { answers, count, unanswered, isFull } = questions.step(this.#arrived);
    this.#arrived = [];
    for (const chunk of unanswered) {
      this.#waiting.push(chunk);
      this.#waitingBytes += chunk.length;
    }
    if (count > 0) {
      answered(count);
      if (!this.#write(answers)) this.#awaitRoom();
    }
    if (isFull && !this.#isFull) this.#due();
    else if (this.#hasEnded && !this.#isFull) this.#end();
    if (this.#isFull || this.#waitingBytes > MAX_WAITING) this.#stream.pause();
    if (unanswered.length > 0) this.#move();
  }

  #write(answers: Buffer): boolean {
    const { begin, write } = this.#answering;
    return begin() && write(answers);
  }

  #awaitRoom(): void {
    this.#isFull = true;
    void this.#answering.drained().then((isThere) => {
      if (this.#state !== 'open') return;
      if (!isThere) return this.#answering.stalled();
      this.#isFull = false;
      this.#mayGoOn();
      this.#due();
    });
  }

  #mayGoOn(): void {
    if (!this.#isFull && this.#waitingBytes <= MAX_WAITING && this.#stream.isPaused()) this.#stream.resume();
  }

  #end(): void {
    const { rest } = this.#answering.questions;
    if (rest.length > 0) this.#waiting.push(rest);
    this.#waitingBytes += rest.length;
    this.#state = 'ended';
    this.#move();
  }

  #move(): void {
    this.#moved.resolve();
    this.#moved = Promise.withResolvers();
  }
}
