/** Verifies each of many keys once, over one connection, to have them all in memory. Tells nothing of speed. */

import http2, { type ClientHttp2Session } from 'node:http2';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { VerifyRequestSchema, VerifyResponseSchema } from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { enveloped } from './keys.ts';
import { VERIFY } from './load.ts';

const IN_FLIGHT = 64;
/** Of the prefix of a message. */
const HEAD_BYTES = 5;

/** A connection of which each call tells itself what went wrong. */
export function connect(address: string): ClientHttp2Session {
  return http2.connect(`http://${address}`).on('error', () => {});
}

/**
 * @param address `host:port` of the gRPC port.
 * @throws Error for the first key that is not valid, or not answered for.
 */
export async function verifyEach(
  address: string,
  credential: string,
  tokens: readonly string[],
): Promise<void> {
  const session = connect(address);
  try {
    let next = 0;
    const worker = async () => {
      while (next < tokens.length) await verifyOnce(session, credential, tokens[next++] ?? '');
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  } finally {
    session.destroy();
  }
}

/** @throws Error where the answer is not that the key is valid. */
export function verifyOnce(session: ClientHttp2Session, credential: string, token: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': VERIFY,
      'content-type': 'application/grpc',
      te: 'trailers',
      authorization: `Bearer ${credential}`,
    });
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('close', () => {
      const message = Buffer.concat(chunks).subarray(HEAD_BYTES);
      const valid = message.length > 0 && fromBinary(VerifyResponseSchema, message).valid;
      if (valid) resolve();
      else reject(new Error('a key of the bench did not verify'));
    });
    stream.end(enveloped(toBinary(VerifyRequestSchema, create(VerifyRequestSchema, { token }))));
  });
}
