/** Reads one message of a unary call, never more than the method allows. */

import { Code, ConnectError } from '@connectrpc/connect';
import { compressedFlag } from '@connectrpc/connect/protocol';
import { compressionGzip } from '@connectrpc/connect-node';
import { Failure } from '../domain/failure.ts';
import { invalidBody } from './bad-body.ts';
import { cancelled } from './errors.ts';
import type { Exchange } from './exchange.ts';
import type { Protocol } from './protocol.ts';
import { joinedValue, type RawHeaders } from './request-headers.ts';

/** What a message may be compressed with, and an answer is, where the client accepts it. */
export const COMPRESSION = compressionGzip;

const HEADER_BYTES = 5;

type Body = Pick<Exchange, 'request' | 'bodyStart'>;

interface BodyBounds {
  readonly maxBytes: number;
  /** Told of the bytes of each part that came. */
  readonly grew: (bytes: number) => void;
}

/**
 * Whether a call's messages may be compressed.
 *
 * @throws Failure `unimplemented` COMPRESSION_UNKNOWN.
 */
export function isCompressed(headers: RawHeaders, protocol: Protocol): boolean {
  const encoding = joinedValue(headers, protocol.encodingHeader);
  if (encoding === undefined || encoding === 'identity') return false;
  if (encoding === COMPRESSION.name) return true;
  const message = `the compression is not known here; accepted are identity and ${COMPRESSION.name}`;
  throw new Failure('unimplemented', 'COMPRESSION_UNKNOWN', message);
}

/**
 * The message of a unary call, unwrapped and decompressed.
 *
 * @param compressed as `isCompressed` has it.
 * @throws Failure `exhausted` MESSAGE_TOO_LARGE as soon as the size is known to be above `maxBytes`; `invalid`;
 *   `unimplemented` for none or several messages.
 */
export async function readMessage(
  exchange: Body,
  protocol: Protocol,
  bounds: BodyBounds,
  compressed: boolean,
): Promise<Uint8Array> {
  const { maxBytes } = bounds;
  if (!protocol.enveloped) {
    const body = await readPlain(exchange, bounds);
    return compressed ? decompress(body, maxBytes) : body;
  }
  const { flags, message } = await readEnvelope(exchange, bounds);
  if ((flags & compressedFlag) === 0) return message;
  if (!compressed) throw invalidBody('it is marked as compressed, but no encoding was named');
  return decompress(message, maxBytes);
}

async function readPlain(body: Body, { maxBytes, grew }: BodyBounds): Promise<Uint8Array> {
  const declared = Number(body.request.headers['content-length'] ?? 0);
  if (declared > maxBytes) throw tooLarge(maxBytes);
  return Buffer.concat(
    await readChunks(body, grew, (size) => {
      if (size > maxBytes) throw tooLarge(maxBytes);
    }),
  );
}

async function readEnvelope(
  exchange: Body,
  { maxBytes, grew }: BodyBounds,
): Promise<{ flags: number; message: Uint8Array }> {
  let declared: number | undefined;
  const chunks = await readChunks(exchange, grew, (size, soFar) => {
    if (declared === undefined && size >= HEADER_BYTES) declared = Buffer.concat(soFar).readUInt32BE(1);
    if (declared !== undefined && declared > maxBytes) throw tooLarge(maxBytes);
    if (declared !== undefined && size > HEADER_BYTES + declared)
      throw wrongCount('more than one message was sent');
  });
  const body = Buffer.concat(chunks);
  if (body.length === 0) throw wrongCount('no message was sent');
  if (body.length < HEADER_BYTES + (declared ?? 0)) throw invalidBody('it ends before its declared length');
  return { flags: body.readUInt8(0), message: body.subarray(HEADER_BYTES) };
}

/** @param check called after each chunk with the bytes so far; may throw to read no further. */
async function readChunks(
  { request, bodyStart }: Body,
  grew: BodyBounds['grew'],
  check: (size: number, chunks: readonly Buffer[]) => void,
): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    const take = (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      grew(chunk.length);
      check(size, chunks);
    };
    bodyStart?.chunks.forEach(take);
    if (bodyStart?.ended) return chunks;
    bodyStart?.readOn();
    // Not destroyed on return: the answer has to go out over the same stream.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) take(chunk);
  } catch (error) {
    // A stream that breaks off has lost its client, whatever words Node has for it.
    throw error instanceof Failure ? error : cancelled();
  }
  return chunks;
}

async function decompress(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  try {
    return await COMPRESSION.decompress(new Uint8Array(bytes), maxBytes);
  } catch (error) {
    // A bomb is stopped at the limit, before it is unpacked.
    const bomb = error instanceof ConnectError && error.code === Code.ResourceExhausted;
    throw bomb ? tooLarge(maxBytes) : invalidBody('it is not valid gzip');
  }
}

export function tooLarge(maxBytes: number): Failure {
  const limit = maxBytes >= 1024 * 1024 ? `${maxBytes / 1024 / 1024} MiB` : `${maxBytes / 1024} KiB`;
  return new Failure('exhausted', 'MESSAGE_TOO_LARGE', `the message is larger than ${limit}`);
}

// gRPC has this code for both.
function wrongCount(message: string): Failure {
  return new Failure('unimplemented', 'MESSAGE_COUNT', `${message}: this method takes exactly one`);
}
