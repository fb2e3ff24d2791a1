/** Answers, and how they get onto the wire. */

import type { EventEmitter } from 'node:events';
import { constants } from 'node:http2';
import type { Writable } from 'node:stream';
import type { ConnectError } from '@connectrpc/connect';
import type { UniversalServerResponse } from '@connectrpc/connect/protocol';
import { errorToJsonBytes } from '@connectrpc/connect/protocol-connect';
import type { Failure } from '../domain/failure.ts';
import type { Exchange } from './exchange.ts';
import { isGone, type NodeRequest, type NodeResponse } from './node-http.ts';
import type { Protocol } from './protocol.ts';
import { readerTooSlow } from './refusals.ts';

/** Milliseconds that a stream waits for a client that does not read. */
const STALL_MS = 5000;
/** Milliseconds that a whole answer may take to its client: the largest is 4 MiB. */
const ANSWER_MS = 30_000;
/** Milliseconds that a client which was answered early may take to end its stream. */
const REST_MS = 2000;

/** Flag of the last envelope of gRPC-Web, which holds the trailers. */
const WEB_TRAILER_FLAG = 0x80;

/** The answer to a unary call, whole. */
export interface Answer {
  readonly status: number;
  readonly header: Headers;
  readonly body: Uint8Array;
  readonly trailer: Headers | undefined;
}

/** Reads an answer of Connect's router to its end. */
export async function wholeAnswer(response: UniversalServerResponse): Promise<Answer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body ?? []) chunks.push(chunk);
  const { status, header = new Headers(), trailer } = response;
  return { status, header, body: Buffer.concat(chunks), trailer };
}

/** Whether an answer carries an error. */
export function isError(protocol: Protocol, answer: Answer): boolean {
  switch (protocol.name) {
    case 'connect':
      return answer.status !== 200;
    case 'grpc':
      return answer.trailer?.get('grpc-status') !== '0';
    case 'grpc-web':
      return answer.body.length === 0 || ((answer.body[0] ?? 0) & WEB_TRAILER_FLAG) !== 0;
  }
}

/** An error in Connect's JSON form, for requests that are no call of any protocol. */
export function plainError(
  status: number,
  error: ConnectError,
  headers: Record<string, string> = {},
): Answer {
  const header = new Headers({ 'content-type': 'application/json', ...headers });
  return { status, header, body: errorToJsonBytes(error, {}), trailer: undefined };
}

/**
 * Writes a whole answer. Resolves once it is with the operating system, or the client is gone.
 *
 * @throws Failure `exhausted` where the client does not read, or too much waits for such clients; then it is cut off.
 */
export async function writeAnswer(exchange: Exchange, answer: Answer): Promise<void> {
  if (!writeHead(exchange, answer.status, answer.header)) return;
  const unread = Promise.withResolvers<void>();
  const giveUp = () => unread.reject(cutOff(exchange));
  const timer = setTimeout(giveUp, ANSWER_MS);
  const held = exchange.answers?.begin(giveUp);
  try {
    held?.grew(answer.body.length);
    sinkOf(exchange).write(answer.body);
    await Promise.race([finish(exchange, answer.trailer), unread.promise]);
  } finally {
    clearTimeout(timer);
    held?.done();
  }
}

/**
 * Writes a stream's answer as it comes, and no further than the client reads.
 *
 * @param atEnd called before its end is written: whoever else writes parts of it has to stop then.
 * @throws Failure `exhausted` where it does not read; then it is cut off.
 */
export async function writeStream(
  exchange: Exchange,
  answer: UniversalServerResponse,
  atEnd: () => void,
): Promise<void> {
  const { response } = exchange;
  // With the first message and not before, because handlers may set headers until then.
  const begun = () => beginAnswer(exchange, answer.status, answer.header);
  for await (const chunk of answer.body ?? []) {
    if (!begun()) return;
    if (!sinkOf(exchange).write(chunk) && !(await drained(response))) throw cutOff(exchange);
    if (isGone(response)) return;
  }
  if (!begun()) return;
  atEnd();
  await finish(exchange, answer.trailer);
}

/** Writes the head of an answer, where that was not done. @returns false where the client is gone. */
export function beginAnswer(exchange: Exchange, status: number, header: Headers | undefined): boolean {
  return exchange.response.headersSent || writeHead(exchange, status, header);
}

function writeHead(
  { response, requestId, closing }: Exchange,
  status: number,
  header = new Headers(),
): boolean {
  if (isGone(response)) return false;
  const headers = {
    ...Object.fromEntries(header),
    'x-request-id': requestId,
    ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
  };
  if ('stream' in response) response.writeHead(status, headers);
  else response.writeHead(status, closing ? { ...headers, connection: 'close' } : headers);
  return true;
}

async function finish(exchange: Exchange, trailer: Headers | undefined): Promise<void> {
  const { request, response } = exchange;
  if (isGone(response)) return;
  if (trailer !== undefined) response.addTrailers(trailersOf(trailer));
  const finished = written(response);
  sinkOf(exchange).end();
  await finished;
  discardRest(request);
}

// Connect spells grpc-message with encodeURIComponent, of which grpc-js undoes only a part. gRPC itself asks for
// nothing but control characters, '%' and what is not ASCII to be escaped.
function trailersOf(trailer: Headers): Record<string, string> {
  const trailers = Object.fromEntries(trailer);
  const message = trailers['grpc-message'];
  if (message === undefined) return trailers;
  const spelled = decodeURIComponent(message).replace(/[^\x20-\x24\x26-\x7e]+/g, encodeURIComponent);
  return { ...trailers, 'grpc-message': spelled };
}

/**
 * An answer may go out before the body is in: what still comes is thrown away, and a stream that its client does not end is closed.
 * Not at once, since nghttp2 drops trailers that are not sent by then, and Node does not say when they are.
 */
function discardRest(request: NodeRequest): void {
  if (request.complete) return;
  request.resume();
  if (!('stream' in request)) return;
  const { stream } = request;
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), REST_MS);
  stream.once('close', () => clearTimeout(timer));
}

/** Writes a part of a stream's answer. @returns false where no more is to be written until it is `drained`. */
export function writePart(exchange: Exchange, bytes: Uint8Array): boolean {
  return sinkOf(exchange).write(bytes);
}

// As what both classes are, because TypeScript cannot call the overloads of two at once.
function sinkOf({ response }: Exchange): Writable {
  return response;
}

/** @returns whether the client has read on in time, or is gone. */
export async function drained(response: NodeResponse): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), STALL_MS);
  });
  const came = await Promise.race([settled(response, 'drain').then(() => true), over]);
  clearTimeout(timer);
  return came;
}

/** Nothing more fits on its way, so an HTTP/2 code has to say why: gRPC's clients take it for RESOURCE_EXHAUSTED. */
export function cutOff(exchange: Exchange): Failure {
  const failure = readerTooSlow();
  exchange.fail(failure);
  if ('stream' in exchange.response) exchange.response.stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  return failure;
}

/**
 * Resolves once an answer that was ended is written, or the client is gone. An HTTP/2 response says `finish` only when its client
 * has ended the stream as well, which one that was answered early may never do; its stream asks for trailers when all else is
 * written.
 */
function written(response: NodeResponse): Promise<void> {
  return 'stream' in response
    ? settled(response, 'wantTrailers', response.stream)
    : settled(response, 'finish');
}

/** Resolves at the event, or when the client is gone. */
function settled(
  response: NodeResponse,
  event: 'finish' | 'drain' | 'wantTrailers',
  source: EventEmitter = response,
): Promise<void> {
  if (isGone(response)) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      source.off(event, done);
      response.off('close', done);
      resolve();
    };
    source.on(event, done);
    response.on('close', done);
  });
}
