import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { Metadata, ServerCredentials, status } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import { createGrpcClient } from '../../src/client/grpc.ts';
import { RpcError } from '../../src/client/rpc-error.ts';
import {
  type GetKeyRequest,
  GetKeyResponseSchema,
  KeyService,
} from '../../src/gen/gatehouse/v1/key_service_pb.js';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from '../../src/gen/google/rpc/error_details_pb.js';
import { StatusSchema } from '../../src/gen/google/rpc/status_pb.js';
import { type FakeServer, startFake } from './fake-server.ts';

let server: FakeServer | undefined;
const clients: { close(): void }[] = [];

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  server?.stop();
  server = undefined;
});

type Answer = Parameters<typeof startFake>[1];

async function clientOf(answer: Answer, options: Parameters<typeof createGrpcClient>[2] = {}) {
  server = await startFake(KeyService.method.getKey, answer);
  const client = createGrpcClient(KeyService, server.address, options);
  clients.push(client);
  return client;
}

function failing(code: status, details: string, metadata = new Metadata()): Answer {
  return () => Promise.reject({ code, details, metadata });
}

function withDetails(message: string, ...details: ReturnType<typeof pack>[]): Metadata {
  const metadata = new Metadata();
  const bytes = toBinary(StatusSchema, create(StatusSchema, { message, details }));
  metadata.set('grpc-status-details-bin', Buffer.from(bytes));
  return metadata;
}

function pack<D extends DescMessage>(schema: D, init: MessageInitShape<D>) {
  return anyPack(schema, create(schema, init));
}

const failure = async (call: Promise<unknown>): Promise<RpcError> => {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof RpcError)) throw new Error(`no RpcError: ${error}`);
  return error;
};

describe('a call', () => {
  test('carries the request, the token and the metadata, and gives the answer', async () => {
    const seen: string[] = [];
    const client = await clientOf(
      (request, metadata) => {
        seen.push(...[...metadata.get('authorization'), ...metadata.get('x-more')].map(String));
        return create(GetKeyResponseSchema, { key: { id: (request as GetKeyRequest).id, name: 'n' } });
      },
      { token: 'ghm_token' },
    );
    const answer = await client.getKey({ id: 'key_1' }, { metadata: { 'x-more': 'yes' } });
    expect(answer.key).toMatchObject({ id: 'key_1', name: 'n' });
    expect(seen).toEqual(['Bearer ghm_token', 'yes']);
  });

  test('may have another authorization than the client', async () => {
    let seen: unknown[] = [];
    const client = await clientOf(
      (_, metadata) => {
        seen = metadata.get('authorization');
        return create(GetKeyResponseSchema);
      },
      { token: 'ghm_token' },
    );
    await client.getKey({ id: 'key_1' }, { metadata: { authorization: 'Bearer other' } });
    expect(seen).toEqual(['Bearer other']);
  });

  test('ends at its deadline where the server stays silent', async () => {
    const client = await clientOf(() => new Promise(() => undefined));
    expect((await failure(client.getKey({ id: 'key_1' }, { timeout: 50 }))).code).toBe('DEADLINE_EXCEEDED');
  });

  test('fails with UNAVAILABLE where nobody listens', async () => {
    const client = await clientOf(() => create(GetKeyResponseSchema));
    server?.stop();
    const error = await failure(client.getKey({ id: 'key_1' }));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: undefined, violations: [] });
  });
});

describe('an error', () => {
  test('has code, reason, violations and the time to wait', async () => {
    const metadata = withDetails(
      'the message',
      pack(ErrorInfoSchema, { reason: 'SOME_REASON', domain: 'gatehouse' }),
      pack(BadRequestSchema, { fieldViolations: [{ field: 'key.name', description: 'must be short' }] }),
      pack(RetryInfoSchema, { retryDelay: { seconds: 1n, nanos: 500_000_000 } }),
    );
    const client = await clientOf(failing(status.INVALID_ARGUMENT, 'other', metadata));
    const error = await failure(client.getKey({ id: 'key_1' }));
    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'the message',
      reason: 'SOME_REASON',
      violations: [{ field: 'key.name', description: 'must be short' }],
      retryAfter: 1500,
    });
  });

  test('keeps its message through percent-encoding', async () => {
    const text = 'keyspace "a/b": 100% of 2+2=4, ünïcode & more; [x]?#@$';
    const client = await clientOf(failing(status.NOT_FOUND, encodeURIComponent(text), withDetails(text)));
    expect((await failure(client.getKey({ id: 'key_1' }))).message).toBe(text);
  });

  test('stands without details that are no Status', async () => {
    const metadata = new Metadata();
    metadata.set('grpc-status-details-bin', Buffer.from([0xff, 0xff, 0xff]));
    const client = await clientOf(failing(status.ABORTED, 'text', metadata));
    const error = await failure(client.getKey({ id: 'key_1' }));
    expect(error).toMatchObject({ code: 'ABORTED', message: 'text', violations: [] });
  });
});

test('a token that no header can carry is refused and not repeated', () => {
  for (const token of ['ghm_line\nfeed', 'ghm_ünïcode', '']) {
    const open = () => createGrpcClient(KeyService, '127.0.0.1:1', { token });
    expect(open).toThrow(new TypeError('the calling key has characters that no header can carry'));
  }
});

const openssl = spawnSync('openssl', ['version']).status === 0;

test.skipIf(!openssl)('TLS is spoken with https, and only to a certificate that is trusted', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-tls-'));
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const san = 'subjectAltName=IP:127.0.0.1';
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
    spawnSync('openssl', [
      'req',
      '-x509',
      ...curve,
      '-nodes',
      '-keyout',
      key,
      '-out',
      cert,
      '-subj',
      '/CN=test',
      '-addext',
      san,
    ]);
    const ca = readFileSync(cert, 'utf8');
    const pair = { private_key: readFileSync(key), cert_chain: readFileSync(cert) };
    const secure = ServerCredentials.createSsl(null, [pair]);
    server = await startFake(KeyService.method.getKey, () => create(GetKeyResponseSchema), secure);
    const trusting = createGrpcClient(KeyService, `https://${server.address}`, { tls: { ca } });
    const strict = createGrpcClient(KeyService, `https://${server.address}`);
    const plain = createGrpcClient(KeyService, `http://${server.address}`);
    clients.push(trusting, strict, plain);
    await trusting.getKey({ id: 'key_1' });
    expect((await failure(strict.getKey({ id: 'key_1' }))).code).toBe('UNAVAILABLE');
    expect((await failure(plain.getKey({ id: 'key_1' }))).code).toBe('UNAVAILABLE');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
