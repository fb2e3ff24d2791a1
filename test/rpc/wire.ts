/** Requests by hand, byte by byte, in every protocol over every listener; and what came back, in one form. */

import http from 'node:http';
import http2 from 'node:http2';
import { fromBinary } from '@bufbuild/protobuf';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from '../../src/gen/google/rpc/error_details_pb.js';
import { StatusSchema } from '../../src/gen/google/rpc/status_pb.js';
import type { Rig } from './rig.ts';

export type Protocol = 'grpc' | 'grpc-web' | 'connect';

/** A protocol on a listener. */
export interface Way {
  readonly protocol: Protocol;
  readonly over: 'h2' | 'h1';
}

export const WAYS: readonly Way[] = [
  { protocol: 'grpc', over: 'h2' },
  { protocol: 'grpc-web', over: 'h2' },
  { protocol: 'connect', over: 'h2' },
  { protocol: 'grpc-web', over: 'h1' },
  { protocol: 'connect', over: 'h1' },
];

export interface WireRequest {
  readonly method?: string;
  readonly path: string;
  /** Names and values in turn, so that a name may come twice. */
  readonly headers?: readonly string[];
  readonly body?: Uint8Array;
  /** Sent after the body, again and again, until the answer is there. */
  readonly endless?: Uint8Array;
}

export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly trailers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface Told {
  readonly code: string;
  readonly message: string;
  readonly reason: string | undefined;
  /** `field: description` of each violation. */
  readonly violations: readonly string[];
  readonly retrySeconds: number | undefined;
  readonly info: Readonly<Record<string, string>>;
}

export function send(rig: Rig, over: Way['over'], request: WireRequest): Promise<WireAnswer> {
  return over === 'h2' ? sendHttp2(rig.grpcPort, request) : sendHttp1(rig.httpPort, request);
}

function pairsOf(headers: readonly string[] = []): Record<string, string | string[]> {
  const result: Record<string, string | string[]> = {};
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? '';
    const before = result[name];
    const value = headers[index + 1] ?? '';
    result[name] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
  }
  return result;
}

function sendHttp2(port: number, request: WireRequest): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on('error', reject);
    const { method = 'POST', path } = request;
    const flat = pairsOf(request.headers);
    // Node sends one line of a list for some names only; authorization it would refuse to repeat.
    const stream = session.request(
      { ':method': method, ':path': path, ...flat },
      { endStream: method === 'GET' },
    );
    const chunks: Buffer[] = [];
    let headers: http2.IncomingHttpHeaders = {};
    let trailers: http2.IncomingHttpHeaders = {};
    stream.on('response', (value) => {
      headers = value;
    });
    stream.on('trailers', (value) => {
      trailers = value;
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('end', () => {
      session.destroy();
      resolve({
        status: Number(headers[':status']),
        headers: textsOf(headers),
        trailers: textsOf(trailers),
        body: Buffer.concat(chunks),
      });
    });
    if (method === 'GET') return;
    feed(stream, request, () => stream.writable && chunks.length === 0 && headers[':status'] === undefined);
  });
}

function sendHttp1(port: number, request: WireRequest): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    const { method = 'POST', path, body, endless } = request;
    const length = body === undefined || endless !== undefined ? [] : ['content-length', String(body.length)];
    const chunked = endless === undefined ? [] : ['transfer-encoding', 'chunked'];
    const headers = ['host', `127.0.0.1:${port}`, ...(request.headers ?? []), ...length, ...chunked];
    let answered = false;
    const sent = http.request(
      { port, host: '127.0.0.1', method, path, headers, agent: false },
      (response) => {
        answered = true;
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          resolve({
            status: response.statusCode ?? 0,
            headers: textsOf(response.headers),
            trailers: textsOf(response.trailers),
            body: Buffer.concat(chunks),
          });
          sent.destroy();
        });
      },
    );
    sent.on('error', (error) => (answered ? undefined : reject(error)));
    feed(sent, request, () => !answered && sent.writable);
  });
}

function feed(out: NodeJS.WritableStream, { body, endless }: WireRequest, wanted: () => boolean): void {
  if (endless === undefined) {
    if (body === undefined) out.end();
    else out.end(body);
    return;
  }
  if (body !== undefined) out.write(body);
  const more = () => {
    if (!wanted()) return;
    if (out.write(endless)) setImmediate(more);
    else out.once('drain', more);
  };
  more();
}

function textsOf(headers: NodeJS.Dict<string | string[]>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

const CONTENT_TYPES: Readonly<Record<Protocol, { json: string; proto: string }>> = {
  grpc: { json: 'application/grpc+json', proto: 'application/grpc' },
  'grpc-web': { json: 'application/grpc-web+json', proto: 'application/grpc-web+proto' },
  connect: { json: 'application/json', proto: 'application/proto' },
};

export const TIMEOUT_HEADERS: Readonly<Record<Protocol, string>> = {
  grpc: 'grpc-timeout',
  'grpc-web': 'grpc-timeout',
  connect: 'connect-timeout-ms',
};

export const ENCODING_HEADERS: Readonly<Record<Protocol, string>> = {
  grpc: 'grpc-encoding',
  'grpc-web': 'grpc-encoding',
  connect: 'content-encoding',
};

export function envelope(message: Uint8Array, flags = 0, length = message.length): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

/** A call by hand. `body` is one message: text for JSON, bytes for protobuf. */
export async function call(
  rig: Rig,
  way: Way,
  path: string,
  body: string | Uint8Array,
  options: {
    readonly headers?: readonly string[];
    readonly compressed?: boolean;
    readonly token?: string;
  } = {},
): Promise<{ readonly answer: WireAnswer; readonly told: Told; readonly message: Buffer }> {
  const message = typeof body === 'string' ? Buffer.from(body) : body;
  const type = CONTENT_TYPES[way.protocol][typeof body === 'string' ? 'json' : 'proto'];
  const token = options.token === undefined ? [] : ['authorization', `Bearer ${options.token}`];
  const headers = ['content-type', type, 'te', 'trailers', ...token, ...(options.headers ?? [])];
  const framed =
    way.protocol === 'connect' ? message : envelope(message, options.compressed === true ? 1 : 0);
  const answer = await send(rig, way.over, { path, headers, body: framed });
  return { answer, told: told(way.protocol, answer), message: messageOf(way.protocol, answer) };
}

/** The first message of an answer. */
function messageOf(protocol: Protocol, { body }: WireAnswer): Buffer {
  return protocol === 'connect' || body.length < 5 ? body : body.subarray(5, 5 + body.readUInt32BE(1));
}

/** What an answer says went wrong; code `ok` where nothing did. */
export function told(protocol: Protocol, answer: WireAnswer): Told {
  if (protocol === 'connect') return answer.status === 200 ? OK : toldByConnect(answer.body.toString());
  const trailers = protocol === 'grpc' ? { ...answer.headers, ...answer.trailers } : webTrailers(answer.body);
  const code = Number(trailers['grpc-status']);
  if (code === 0) return OK;
  const status = fromBinary(StatusSchema, Buffer.from(trailers['grpc-status-details-bin'] ?? '', 'base64'));
  const details = status.details.map(({ typeUrl, value }) => ({ type: typeUrl.replace(/^.*\//, ''), value }));
  return toldOf(CODES[code] ?? String(code), decodeURIComponent(trailers['grpc-message'] ?? ''), details);
}

const OK: Told = {
  code: 'ok',
  message: '',
  reason: undefined,
  violations: [],
  retrySeconds: undefined,
  info: {},
};
const CODES: Readonly<Record<number, string>> = {
  1: 'canceled',
  3: 'invalid_argument',
  4: 'deadline_exceeded',
  5: 'not_found',
  7: 'permission_denied',
  8: 'resource_exhausted',
  10: 'aborted',
  12: 'unimplemented',
  13: 'internal',
  14: 'unavailable',
  16: 'unauthenticated',
};

function webTrailers(body: Buffer): Record<string, string> {
  let rest = body;
  while (rest.length >= 5) {
    const length = rest.readUInt32BE(1);
    if ((rest[0] ?? 0) & 0x80) {
      const lines = rest
        .subarray(5, 5 + length)
        .toString()
        .split('\r\n');
      return Object.fromEntries(lines.filter(Boolean).map((line) => line.split(/:\s*(.*)/s).slice(0, 2)));
    }
    rest = rest.subarray(5 + length);
  }
  return {};
}

function toldByConnect(text: string): Told {
  const { code, message, details = [] } = JSON.parse(text);
  return toldOf(
    code,
    message,
    details.map(({ type, value }: { type: string; value: string }) => ({
      type,
      value: Buffer.from(value, 'base64'),
    })),
  );
}

function toldOf(
  code: string,
  message: string,
  details: readonly { type: string; value: Uint8Array }[],
): Told {
  const find = (type: string) => details.find((one) => one.type === type)?.value;
  const info = fromBinary(ErrorInfoSchema, find('google.rpc.ErrorInfo') ?? new Uint8Array());
  const bad = fromBinary(BadRequestSchema, find('google.rpc.BadRequest') ?? new Uint8Array());
  const retry = find('google.rpc.RetryInfo');
  const delay = retry === undefined ? undefined : fromBinary(RetryInfoSchema, retry).retryDelay;
  return {
    code,
    message,
    reason: info.domain === 'gatehouse' ? info.reason : undefined,
    violations: bad.fieldViolations.map(({ field, description }) => `${field}: ${description}`),
    retrySeconds: delay === undefined ? undefined : Number(delay.seconds) + delay.nanos / 1e9,
    info: info.metadata,
  };
}
