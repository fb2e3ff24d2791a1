/** Verifies each of many keys once, over one connection, to have them all in memory. Tells nothing of speed. */

import http2, { type ClientHttp2Session } from 'node:http2';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { VerifyRequestSchema, VerifyResponseSchema } from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { enveloped } from './keys.ts';
import { VERIFY } from './load.ts';

const IN_FLIGHT = 64;
/** How often a call is made that the store did not answer in time. */
const TRIES = 10;
const TRY_AGAIN = ['8', '14'];
/** Of the prefix of a message. */
const HEAD_BYTES = 5;

/** A connection of which each call tells itself what went wrong. */
export function connect(address: string): ClientHttp2Session {
  return http2.connect(`http://${address}`).on('error', () => {});
}

/**
 * @param address `host:port` of the gRPC port.
 * @param inFlight fewer where a slow store has to read them.
 * @throws Error for the first key that is not valid, or not answered for.
 */
export async function verifyEach(
  address: string,
  credential: string,
  tokens: readonly string[],
  inFlight = IN_FLIGHT,
): Promise<void> {
  const session = connect(address);
  try {
    let next = 0;
    const caller = async () => {
      while (next < tokens.length) await verifyOnce(session, credential, tokens[next++] ?? '');
    };
    await Promise.all(Array.from({ length: inFlight }, caller));
  } finally {
    session.destroy();
  }
}

/** @throws Error where the answer is not that the key is valid. */
export async function verifyOnce(
  session: ClientHttp2Session,
  credential: string,
  token: string,
  tries = TRIES,
): Promise<void> {
  const { status, message } = await call(session, credential, token);
  if (TRY_AGAIN.includes(status) && tries > 1) return verifyOnce(session, credential, token, tries - 1);
  if (status === '0' && fromBinary(VerifyResponseSchema, message).valid) return;
  throw new Error(`a key of the bench did not verify: status ${status === '' ? 'unknown' : status}`);
}

/** @returns gRPC's status, empty where the call broke off. */
function call(session: ClientHttp2Session, credential: string, token: string) {
  return new Promise<{ readonly status: string; readonly message: Uint8Array }>((resolve) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': VERIFY,
      'content-type': 'application/grpc',
      te: 'trailers',
      authorization: `Bearer ${credential}`,
    });
    let status = '';
    const readStatus = (headers: http2.IncomingHttpHeaders) => {
      status = String(headers['grpc-status'] ?? status);
    };
    const chunks: Buffer[] = [];
    stream.on('response', readStatus);
    stream.on('trailers', readStatus);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    // What is left of it is told by the status.
    stream.on('error', () => {});
    stream.on('close', () => resolve({ status, message: Buffer.concat(chunks).subarray(HEAD_BYTES) }));
    stream.end(enveloped(toBinary(VerifyRequestSchema, create(VerifyRequestSchema, { token }))));
  });
}
