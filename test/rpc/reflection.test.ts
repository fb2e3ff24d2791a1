import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Client, credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from '../../src/gen/grpc/reflection/v1/reflection_pb.js';
import { GOOD_KEY, type Rig, startRig } from './rig.ts';

const grpcurl = process.env.GATEHOUSE_TEST_GRPCURL ?? '';

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig.drain(1000));

/** One question on a stream of its own. v1 and v1alpha have the same bytes. */
async function ask(
  version: 'v1' | 'v1alpha',
  messageRequest: ServerReflectionRequest['messageRequest'],
): Promise<ServerReflectionResponse['messageResponse']> {
  const client = new Client(rig.grpcAddress, credentials.createInsecure());
  const stream = client.makeBidiStreamRequest<Uint8Array, ServerReflectionResponse>(
    `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    (bytes) => Buffer.from(bytes),
    (bytes) => fromBinary(ServerReflectionResponseSchema, bytes),
  );
  stream.end(
    toBinary(ServerReflectionRequestSchema, create(ServerReflectionRequestSchema, { messageRequest })),
  );
  const answer = await new Promise<ServerReflectionResponse>((resolve, reject) => {
    stream.on('data', resolve);
    stream.on('error', reject);
  });
  client.close();
  return answer.messageResponse;
}

const namesOf = (answer: ServerReflectionResponse['messageResponse']) =>
  answer.case === 'fileDescriptorResponse'
    ? answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name)
    : answer;

describe.each(['v1', 'v1alpha'] as const)('reflection %s', (version) => {
  test('lists every service', async () => {
    const answer = await ask(version, { case: 'listServices', value: '' });
    expect(answer.case === 'listServicesResponse' && answer.value.service.map(({ name }) => name)).toEqual([
      'gatehouse.v1.AuthService',
      'gatehouse.v1.KeyService',
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
    ]);
  });

  test('finds a file by name and by any symbol in it, with all that it imports', async () => {
    for (const symbol of [
      'gatehouse.v1.KeyService',
      'gatehouse.v1.KeyService.GetKey',
      'gatehouse.v1.GetKeyRequest',
    ]) {
      const names = namesOf(await ask(version, { case: 'fileContainingSymbol', value: symbol }));
      expect(names).toEqual(
        expect.arrayContaining(['gatehouse/v1/key.proto', 'buf/validate/validate.proto']),
      );
      expect(names).toHaveProperty('0', 'gatehouse/v1/key_service.proto');
    }
    const value = 'google/protobuf/descriptor.proto';
    expect(namesOf(await ask(version, { case: 'fileByFilename', value }))).toEqual([value]);
  });

  test('knows the details of errors, and extensions', async () => {
    const details = await ask(version, {
      case: 'fileContainingSymbol',
      value: 'google.rpc.BadRequest.FieldViolation',
    });
    expect(namesOf(details)).toHaveProperty('0', 'google/rpc/error_details.proto');
    const value = {
      $typeName: 'grpc.reflection.v1.ExtensionRequest',
      containingType: 'google.protobuf.FieldOptions',
      extensionNumber: 1159,
    } as const;
    const extension = await ask(version, { case: 'fileContainingExtension', value });
    expect(namesOf(extension)).toHaveProperty('0', 'buf/validate/validate.proto');
    const numbers = await ask(version, {
      case: 'allExtensionNumbersOfType',
      value: 'google.protobuf.FieldOptions',
    });
    expect(numbers).toMatchObject({ value: { extensionNumber: expect.arrayContaining([1159]) } });
  });

  test('says NOT_FOUND for what it does not know', async () => {
    for (const kind of ['fileByFilename', 'fileContainingSymbol', 'allExtensionNumbersOfType'] as const) {
      expect(await ask(version, { case: kind, value: 'nope' })).toMatchObject({ value: { errorCode: 5 } });
    }
  });
});

describe.skipIf(grpcurl === '')('grpcurl', () => {
  const run = async (...args: string[]) => {
    const [flags, rest] = [args.slice(0, -1), args.slice(-1)];
    return promisify(execFile)(grpcurl, ['-plaintext', ...flags, rig.grpcAddress, ...rest]).then(
      ({ stdout }) => stdout,
      (error: { stderr: string }) => error.stderr,
    );
  };

  test('lists, describes, calls and shows the details of errors', async () => {
    expect(await run('list')).toContain('gatehouse.v1.KeyService');
    const described = await promisify(execFile)(grpcurl, [
      '-plaintext',
      rig.grpcAddress,
      'describe',
      'gatehouse.v1.CreateKeyRequest',
    ]);
    expect(described.stdout).toContain('string keyspace = 1');
    const auth = ['-H', `authorization: Bearer ${GOOD_KEY}`];
    expect(await run(...auth, '-d', '{"id":"key_1"}', 'gatehouse.v1.KeyService/GetKey')).toContain(
      '"id": "key_1"',
    );
    const refused = await run(...auth, '-d', '{"name":""}', 'gatehouse.v1.KeyService/CreateKey');
    expect(refused).toContain('google.rpc.BadRequest');
    expect(refused).toContain('"field": "keyspace"');
  });
});
