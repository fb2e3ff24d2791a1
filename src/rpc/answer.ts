/** Answers, and how they get onto the wire. */

import { constants } from 'node:http2';
import type { ConnectError } from '@connectrpc/connect';
import type { UniversalServerResponse } from '@connectrpc/connect/protocol';
import { errorToJsonBytes } from '@connectrpc/connect/protocol-connect';
import { isGone, type NodeRequest, type NodeResponse } from './node-http.ts';
import type { Protocol } from './protocol.ts';

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

/** Where writing goes, and with what in front. */
export interface Outlet {
  readonly request: NodeRequest;
  readonly response: NodeResponse;
  readonly requestId: string;
  /** Ask an HTTP/1.1 client to open no further call on this connection. */
  readonly closing: boolean;
}

/** Writes a whole answer. Resolves once it is with the operating system, or the client is gone. */
export async function writeAnswer(outlet: Outlet, answer: Answer): Promise<void> {
  if (!writeHead(outlet, answer.status, answer.header)) return;
  send(outlet.response, answer.body);
  await finish(outlet, answer.trailer);
}

/** Writes a stream's answer as it comes. */
export async function writeStream(outlet: Outlet, answer: UniversalServerResponse): Promise<void> {
  let started = false;
  for await (const chunk of answer.body ?? []) {
    // After the first message, because handlers may set headers until then.
    if (!started && !writeHead(outlet, answer.status, answer.header)) return;
    started = true;
    if (!send(outlet.response, chunk)) await writable(outlet.response);
    if (isGone(outlet.response)) return;
  }
  if (!started && !writeHead(outlet, answer.status, answer.header)) return;
  await finish(outlet, answer.trailer);
}

function writeHead(
  { response, requestId, closing }: Outlet,
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

async function finish({ request, response }: Outlet, trailer: Headers | undefined): Promise<void> {
  if (isGone(response)) return;
  if (trailer !== undefined) response.addTrailers(trailersOf(trailer));
  const finished = settled(response, 'finish');
  end(response);
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

/** An answer may go out before the body is in: what still comes is thrown away, or its stream is closed. */
function discardRest(request: NodeRequest): void {
  if (request.complete) return;
  if (!('stream' in request)) request.resume();
  else if (!request.stream.destroyed) request.stream.close(constants.NGHTTP2_NO_ERROR);
}

// TypeScript cannot call the overloads of two classes at once.
function send(response: NodeResponse, bytes: Uint8Array): boolean {
  return 'stream' in response ? response.write(bytes) : response.write(bytes);
}

function end(response: NodeResponse): void {
  if ('stream' in response) response.end();
  else response.end();
}

function writable(response: NodeResponse): Promise<void> {
  return settled(response, 'drain');
}

/** Resolves at the event, or when the client is gone. */
function settled(response: NodeResponse, event: 'finish' | 'drain'): Promise<void> {
  if (isGone(response)) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      response.off(event, done);
      response.off('close', done);
      resolve();
    };
    response.on(event, done);
    response.on('close', done);
  });
}
