/** What the echo servers answer: the same fields, and as many bytes, as a Verify of a key of the bench. */

import { create } from '@bufbuild/protobuf';
import {
  PrincipalKind,
  SecretGeneration,
  VerifyResponseSchema,
  VerifyStatus,
} from '../../src/gen/gatehouse/v1/auth_service_pb.js';

export const FIXED_ANSWER = create(VerifyResponseSchema, {
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
    secretGeneration: SecretGeneration.CURRENT,
  },
  revision: 1n,
  recordAge: {},
  cacheableFor: {},
});
