/** Streams over grpc-js: answers to one question, or questions and answers. */

import {
  create,
  type DescMessage,
  type DescMethodBiDiStreaming,
  type DescMethodServerStreaming,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { Client, type ClientReadableStream, credentials, Metadata, type StatusObject } from '@grpc/grpc-js';
import { rpcErrorOf } from '../../src/client/decode-error.ts';

export interface GrpcStream<Answer> {
  /** What has come so far. */
  readonly got: Answer[];
  /** Resolves once so many have come. @throws Error where the stream ends before. */
  until(count: number): Promise<void>;
  /** How it ended; the code as a number, 0 where nothing went wrong. */
  readonly ended: Promise<{ readonly code: number; readonly reason: string | undefined }>;
  /** Reads no further. */
  pause(): void;
  resume(): void;
  cancel(): void;
}

export interface GrpcDuplex<Question, Answer> extends GrpcStream<Answer> {
  /** @returns whether more may be sent at once. */
  send(question: Question): boolean;
  /** No more will be sent. */
  finish(): void;
}

export function openStream<I extends DescMessage, O extends DescMessage>(
  address: string,
  method: DescMethodServerStreaming<I, O>,
  request: MessageInitShape<I>,
  token?: string,
): GrpcStream<MessageShape<O>> {
  const client = new Client(address, credentials.createInsecure());
  const stream = client.makeServerStreamRequest<MessageShape<I>, MessageShape<O>>(
    `/${method.parent.typeName}/${method.name}`,
    (message) => Buffer.from(toBinary(method.input, message)),
    (bytes) => fromBinary(method.output, bytes),
    create(method.input, request),
    metadataOf(token),
  );
  return receiving(client, stream);
}

export function openDuplex<I extends DescMessage, O extends DescMessage>(
  address: string,
  method: DescMethodBiDiStreaming<I, O>,
  token?: string,
): GrpcDuplex<MessageInitShape<I>, MessageShape<O>> {
  const client = new Client(address, credentials.createInsecure());
  const stream = client.makeBidiStreamRequest<MessageShape<I>, MessageShape<O>>(
    `/${method.parent.typeName}/${method.name}`,
    (message) => Buffer.from(toBinary(method.input, message)),
    (bytes) => fromBinary(method.output, bytes),
    metadataOf(token),
  );
  return {
    ...receiving(client, stream),
    send: (question) => stream.write(create(method.input, question)),
    finish: () => stream.end(),
  };
}

function metadataOf(token: string | undefined): Metadata {
  const metadata = new Metadata();
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
  return metadata;
}

function receiving<Answer>(client: Client, stream: ClientReadableStream<Answer>): GrpcStream<Answer> {
  const got: Answer[] = [];
  stream.on('error', () => {});
  stream.on('data', (message: Answer) => got.push(message));
  let over = false;
  const ended = new Promise<StatusObject>((resolve) => stream.on('status', resolve)).then((status) => {
    over = true;
    client.close();
    const { reason } = rpcErrorOf(Object.assign(new Error(status.details), status));
    return { code: status.code, reason };
  });
  return {
    got,
    async until(count) {
      while (got.length < count) {
        if (over) throw new Error(`the stream ended after ${got.length} messages`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    ended,
    pause: () => stream.pause(),
    resume: () => stream.resume(),
    cancel: () => stream.cancel(),
  };
}
