/** A grpc-js server that decodes a VerifyRequest and sends back a VerifyResponse that is always the same. Prints its port. */

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import {
  PrincipalKind,
  VerifyRequestSchema,
  VerifyResponseSchema,
  VerifyStatus,
} from '../../src/gen/gatehouse/v1/auth_service_pb.js';

const answer = create(VerifyResponseSchema, {
  valid: true,
  status: VerifyStatus.VALID,
  message: 'the key is valid',
  principal: {
    kind: PrincipalKind.KEY,
    keyId: 'key_0123456789abcdefABCDEF',
    keyspace: 'default',
    name: 'bench 1',
    displayPrefix: 'gate_0123456',
    owner: { kind: 'user', id: 'u1' },
    permissions: ['docs:*'],
  },
  revision: 1n,
});

const server = new Server();
server.addService(
  {
    verify: {
      path: '/gatehouse.v1.AuthService/Verify',
      requestStream: false,
      responseStream: false,
      requestDeserialize: (bytes: Buffer) => fromBinary(VerifyRequestSchema, bytes),
      requestSerialize: (message: Buffer) => message,
      responseSerialize: () => Buffer.from(toBinary(VerifyResponseSchema, answer)),
      responseDeserialize: (bytes: Buffer) => bytes,
    },
  },
  { verify: (_call: unknown, callback: (error: null, value: object) => void) => callback(null, answer) },
);
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  console.log(port);
});
