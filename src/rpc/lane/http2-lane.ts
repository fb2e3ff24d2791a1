/**
 * The lane on node:http2: everything of it that knows streams. A call whose whole message comes soon after its headers is
 * answered from here; each other one goes on to the server's request event, with whatever of it was read.
 */

import type {
  Http2SecureServer,
  Http2Server,
  Http2Session,
  IncomingHttpHeaders,
  OutgoingHttpHeaders,
  ServerHttp2Stream,
} from 'node:http2';
import type { BodyStart } from '../exchange.ts';
import { plainAddress } from '../node-http.ts';
import type { Acquaintance } from './callers.ts';
import { ENVELOPE_BYTES } from './envelope.ts';
import { type LaneMetadata, readMetadata } from './metadata.ts';
import type { LaneAnswer, LaneCall, LaneMethod, VerifyLane } from './verify-lane.ts';

type StreamListener = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: string[],
) => void;

/** Bytes of a body that is waited for here: that of a Verify, or a batch of so many plain questions as there may be. */
const MAX_BYTES = 64 * 1024;
const END_STREAM = 1;
/** Milliseconds that a call's body or records are waited for at most; the long way takes over then, which has the deadlines. */
const SOON_MS = 20;
/** Bytes of answers that are not yet with their clients, over all connections: above that the long way sheds the oldest. */
const MAX_UNREAD = 64 * 1024 * 1024;
const TRAILERS = { 'grpc-status': '0' };

/** Where a stream has its call: listeners of its own for each would be most of what the lane allocates. */
const CALL = Symbol('call');
const ACQUAINTANCE = Symbol('acquaintance');
type LaneSession = Http2Session & { [ACQUAINTANCE]?: Acquaintance };
/** Bytes of its answer. */
const ANSWER = Symbol('answer');
type LaneStream = ServerHttp2Stream & { [CALL]?: Waiting | undefined; [ANSWER]?: number };

/** A call that has no answer yet. */
class Waiting implements LaneCall {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly flags: number;
  readonly rawHeaders: string[];
  readonly metadata;
  readonly method: LaneMethod;
  readonly startedAt = performance.now();
  readonly acquaintance: Acquaintance;
  /** What has come of its body. */
  body: Buffer | undefined;
  /** Whether that is all of it. */
  hasEnded = false;
  /** Whether its records were read, or are being read. */
  isRead = false;
  over = false;

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
    rawHeaders: string[],
    method: LaneMethod,
    metadata: LaneMetadata,
    acquaintance: Acquaintance,
  ) {
    this.stream = stream;
    this.headers = headers;
    this.flags = flags;
    this.rawHeaders = rawHeaders;
    this.method = method;
    this.metadata = metadata;
    this.acquaintance = acquaintance;
  }

  peerAddress(): string | undefined {
    return plainAddress(this.stream.session?.socket.remoteAddress);
  }
}

export class Http2Lane {
  readonly #lane: VerifyLane;
  /** Makes node:http2's request and response of a stream. */
  readonly #toRequest: StreamListener;
  #handedOn: BodyStart | undefined;
  /** Calls that came in this turn, and those of turns before that have no answer. */
  #arrived: Waiting[] = [];
  readonly #late = new Set<Waiting>();
  #timer: NodeJS.Timeout | undefined;
  #unread = 0;

  /**
   * @param server with the listener of its request event, which is all that it does with streams so far; that event comes
   *   for what the lane does not answer.
   */
  constructor(server: Http2Server | Http2SecureServer, lane: VerifyLane) {
    this.#lane = lane;
    const callOf = (stream: LaneStream): Waiting | undefined => stream[CALL];
    const read = (call: Waiting, chunk: Buffer) => this.#read(call, chunk);
    const end = (call: Waiting) => this.#end(call);
    this.#onData = function (chunk) {
      const call = callOf(this);
      if (call !== undefined) read(call, chunk);
    };
    this.#onEnd = function () {
      const call = callOf(this);
      if (call !== undefined) end(call);
    };
    const isRead = (bytes: number) => {
      this.#unread -= bytes;
    };
    this.#onClose = function () {
      isRead((this as LaneStream)[ANSWER] ?? 0);
    };
    // node:http2 serves its request event by a listener of the stream event, which it adds with the first of the former.
    const [toRequest, ...others] = server.listeners('stream') as StreamListener[];
    if (toRequest === undefined || others.length > 0) throw new Error('the server has no request listener');
    server.removeListener('stream', toRequest);
    this.#toRequest = toRequest.bind(server);
    const begin: StreamListener = (...request) => this.#begin(...request);
    // (Its types leave the raw headers out.)
    server.on('stream', begin as (stream: ServerHttp2Stream) => void);
  }

  /** While a request event is told: what was read of its body already. */
  get bodyStart(): BodyStart | undefined {
    return this.#handedOn;
  }

  // One for all streams, which know their call.
  readonly #onData: (this: ServerHttp2Stream, chunk: Buffer) => void;
  readonly #onEnd: (this: ServerHttp2Stream) => void;
  readonly #onClose: (this: ServerHttp2Stream) => void;

  #begin(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, rawHeaders: string[]): void {
    const method = this.#lane.methodAt(headers[':path'] ?? '');
    const metadata =
      method !== undefined && (flags & END_STREAM) === 0 ? readMetadata(rawHeaders) : undefined;
    // A stream is told of in a later turn than it came in, and its connection may be gone by then.
    const session = stream.session as LaneSession | undefined;
    if (method === undefined || metadata === undefined || session === undefined)
      return this.#toRequest(stream, headers, flags, rawHeaders);
    session[ACQUAINTANCE] ??= {};
    const call = new Waiting(stream, headers, flags, rawHeaders, method, metadata, session[ACQUAINTANCE]);
    (stream as LaneStream)[CALL] = call;
    stream.on('data', this.#onData);
    stream.on('end', this.#onEnd);
    stream.on('error', peerFailed);
    if (this.#arrived.push(call) === 1) setImmediate(() => this.#endTurn());
  }

  #read(call: Waiting, chunk: Buffer): void {
    call.body = call.body === undefined ? chunk : Buffer.concat([call.body, chunk]);
    if (!mayBeWhole(call.body)) this.#handOn(call);
  }

  #end(call: Waiting): void {
    if (call.over) return;
    call.hasEnded = true;
    const { body } = call;
    if (isGone(call.stream) || body === undefined || !isWhole(body)) return this.#handOn(call);
    const answer = this.#unread > MAX_UNREAD ? undefined : this.#answerTo(call, body);
    if (answer === undefined) return this.#readAhead(call, body);
    call.over = true;
    this.#late.delete(call);
    const stream: LaneStream = call.stream;
    // Streams outlive their calls, and nobody else needs what came with this one.
    stream[CALL] = undefined;
    const head: OutgoingHttpHeaders = {
      ':status': 200,
      'content-type': 'application/grpc+proto',
      'x-request-id': answer.requestId,
    };
    if (call.metadata.acceptsGzip) head['grpc-encoding'] = 'gzip';
    stream[ANSWER] = answer.bytes.length;
    this.#unread += answer.bytes.length;
    stream.on('close', this.#onClose);
    stream.on('wantTrailers', sendTrailers);
    stream.respond(head, { waitForTrailers: true });
    stream.end(answer.bytes);
  }

  /** A defect of the lane must not end the process: the long way tells of it, or does not have it. */
  #answerTo(call: Waiting, body: Buffer): LaneAnswer | undefined {
    try {
      return this.#lane.answer(call, body);
    } catch {
      return undefined;
    }
  }

  /** What is not in memory is read, for no longer than a body would be waited for. */
  #readAhead(call: Waiting, body: Buffer): void {
    const reading = call.isRead ? undefined : this.#readingFor(call, body);
    if (reading === undefined) return this.#handOn(call);
    call.isRead = true;
    const isThere = () => this.#end(call);
    // Where the store has no answer, the long way has the words for it.
    reading.then(isThere, isThere);
  }

  #readingFor(call: Waiting, body: Buffer): Promise<unknown> | undefined {
    try {
      return this.#lane.readAhead(call, body);
    } catch {
      return undefined;
    }
  }

  #endTurn(): void {
    for (const call of this.#arrived) if (!call.over) this.#late.add(call);
    this.#arrived = [];
    if (this.#late.size > 0) this.#timer ??= setTimeout(() => this.#giveUp(), SOON_MS);
  }

  #giveUp(): void {
    this.#timer = undefined;
    for (const call of this.#late) this.#handOn(call);
  }

  /** The long way answers, as if the lane had never seen it. */
  #handOn(call: Waiting): void {
    const { stream, headers, flags, rawHeaders, body, hasEnded: ended } = call;
    call.over = true;
    this.#late.delete(call);
    if (isGone(stream)) return this.#lane.cancelled(call);
    stream.off('data', this.#onData);
    stream.off('end', this.#onEnd);
    // A stream that was listened to flows on without a listener, and the caller is looked up before the rest is read.
    if (!ended) stream.pause();
    const chunks = body === undefined ? [] : [body];
    this.#handedOn = { chunks, ended, readOn: () => void stream.resume() };
    try {
      this.#toRequest(stream, headers, flags, rawHeaders);
    } finally {
      this.#handedOn = undefined;
    }
  }
}

/** Whether the client has reset the stream, which ends its body as well, or the connection is gone. */
function isGone(stream: ServerHttp2Stream): boolean {
  return stream.destroyed || stream.aborted || stream.closed;
}

/** Whether it is, or may become, one whole message in its envelope, uncompressed. */
function mayBeWhole(body: Buffer): boolean {
  return body.length < ENVELOPE_BYTES || (body[0] === 0 && body.length <= wholeBytes(body));
}

function isWhole(body: Buffer): boolean {
  return body.length >= ENVELOPE_BYTES && body[0] === 0 && body.length === wholeBytes(body);
}

/** @returns 0 for one that is too large for here. */
function wholeBytes(body: Buffer): number {
  const bytes = ENVELOPE_BYTES + body.readUInt32BE(1);
  return bytes > MAX_BYTES ? 0 : bytes;
}

function sendTrailers(this: ServerHttp2Stream): void {
  this.sendTrailers(TRAILERS);
}

// A peer that resets in the middle: nobody waits for the answer.
function peerFailed(): void {}
