/** A server by another hand than ours: one method of grpc-js that answers or fails as a test wants it. */

import { type DescMethodUnary, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import { type Metadata, Server, ServerCredentials, type ServerErrorResponse } from '@grpc/grpc-js';

export interface FakeServer {
  /** `127.0.0.1:port` */
  readonly address: string;
  stop(): void;
}

/** @param answer gives the response, or throws `Partial<ServerErrorResponse>`; a promise that never ends: no answer. */
export async function startFake(
  method: DescMethodUnary,
  answer: (request: Message, metadata: Metadata) => Message | Promise<Message>,
  credentials = ServerCredentials.createInsecure(),
): Promise<FakeServer> {
  const server = new Server();
  const definition = {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: (message: Message) => Buffer.from(toBinary(method.input, message)),
    requestDeserialize: (bytes: Buffer) => fromBinary(method.input, bytes),
    responseSerialize: (message: Message) => Buffer.from(toBinary(method.output, message)),
    responseDeserialize: (bytes: Buffer) => fromBinary(method.output, bytes),
  } as const;
  server.addService(
    { [method.name]: definition },
    {
      [method.name]: async (
        call: { request: Message; metadata: Metadata },
        reply: (error: Partial<ServerErrorResponse> | null, response?: Message) => void,
      ) => {
        try {
          reply(null, await answer(call.request, call.metadata));
        } catch (error) {
          reply(error as Partial<ServerErrorResponse>);
        }
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  return { address: `127.0.0.1:${port}`, stop: () => server.forceShutdown() };
}
