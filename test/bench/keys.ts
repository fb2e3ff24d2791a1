/** Keys of a running Gatehouse, and the files of questions about them that the load generators send. */

import { writeFileSync } from 'node:fs';
import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  VerifyRequestSchema,
  VerifyStatus,
  VerifyStreamRequestSchema,
} from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { callJson, type Gatehouse } from '../support/gatehouse.ts';

const CALLERS = 16;

/** What the answer to a good token contains: `valid` and `status`, which is below 128. */
export const GOOD = Uint8Array.of(0x08, 1, 0x10, VerifyStatus.VALID);

/** Makes so many keys, all alike but for their name. @returns their tokens. */
export async function makeTokens(gatehouse: Gatehouse, count: number): Promise<string[]> {
  const tokens: string[] = [];
  let made = 0;
  const caller = async () => {
    while (made < count) tokens.push(await makeToken(gatehouse, ++made));
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return tokens;
}

async function makeToken(gatehouse: Gatehouse, index: number): Promise<string> {
  const body = {
    keyspace: 'default',
    name: `bench ${index}`,
    owner: { kind: 'user', id: 'u1' },
    permissions: ['docs:*'],
  };
  const answer = await callJson(gatehouse, 'KeyService/CreateKey', body, { key: gatehouse.rootKey });
  if (answer.status !== 200) throw new Error(`no key could be made: ${JSON.stringify(answer.body)}`);
  return answer.body.secret;
}

/** Writes a VerifyRequest for each token, as gRPC sends it. */
export function writeVerifies(file: string, tokens: readonly string[]): string {
  return writeMessages(
    file,
    VerifyRequestSchema,
    tokens.map((token) => ({ token })),
  );
}

/** Writes a VerifyStreamRequest for each token. The load generator puts its own ids into them. */
export function writeStreamVerifies(file: string, tokens: readonly string[]): string {
  return writeMessages(
    file,
    VerifyStreamRequestSchema,
    tokens.map((token) => ({ id: '00000000', request: { token } })),
  );
}

/** Writes messages with their prefixes, one behind the other. @returns the file. */
export function writeMessages<Schema extends DescMessage>(
  file: string,
  schema: Schema,
  messages: readonly MessageInitShape<Schema>[],
): string {
  writeFileSync(
    file,
    Buffer.concat(messages.map((message) => enveloped(toBinary(schema, create(schema, message))))),
  );
  return file;
}

/** A message with its prefix, as gRPC sends it. */
export function enveloped(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, 5);
  return bytes;
}
