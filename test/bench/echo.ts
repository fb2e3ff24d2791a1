/**
 * A grpc-js server that decodes a VerifyRequest and sends back a VerifyResponse that is always the same, as a call and on a
 * stream. Prints its port.
 */

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type MethodDefinition, Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import {
  AuthService,
  type VerifyRequest,
  type VerifyResponse,
  type VerifyStreamRequest,
  type VerifyStreamResponse,
  VerifyStreamResponseSchema,
} from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { FIXED_ANSWER } from './fixed-answer.ts';

/** A method as grpc-js takes it, through protobuf-es. */
function definition<Request extends object, Response extends object>(
  method: (typeof AuthService.method)['verify' | 'verifyStream'],
): MethodDefinition<Request, Response> {
  const { input, output, methodKind, name } = method;
  return {
    path: `/${AuthService.typeName}/${name}`,
    requestStream: methodKind === 'bidi_streaming',
    responseStream: methodKind === 'bidi_streaming',
    requestSerialize: (message) => Buffer.from(toBinary(input, message as never)),
    requestDeserialize: (bytes) => fromBinary(input, bytes) as never,
    responseSerialize: (message) => Buffer.from(toBinary(output, message as never)),
    responseDeserialize: (bytes) => fromBinary(output, bytes) as never,
  };
}

const server = new Server();
server.addService(
  {
    verify: definition<VerifyRequest, VerifyResponse>(AuthService.method.verify),
    verifyStream: definition<VerifyStreamRequest, VerifyStreamResponse>(AuthService.method.verifyStream),
  },
  {
    verify: (_call: unknown, callback: (error: null, value: VerifyResponse) => void) =>
      callback(null, FIXED_ANSWER),
    verifyStream: (stream: ServerDuplexStream<VerifyStreamRequest, VerifyStreamResponse>) => {
      stream.on('data', ({ id }: VerifyStreamRequest) => {
        const result = { case: 'response', value: FIXED_ANSWER } as const;
        stream.write(create(VerifyStreamResponseSchema, { id, result }));
      });
      stream.on('end', () => stream.end());
    },
  },
);
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  console.log(JSON.stringify({ port }));
});
