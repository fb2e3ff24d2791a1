import { gzipSync } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { VerifyBatchRequestSchema } from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { GetKeyRequestSchema } from '../../src/gen/gatehouse/v1/key_service_pb.js';
import { CANARY, GOOD_KEY, type Rig, startRig } from './rig.ts';
import { call, ENCODING_HEADERS, envelope, send, type Told, told as toldOf, WAYS } from './wire.ts';

const GET_KEY = '/gatehouse.v1.KeyService/GetKey';
const CREATE_KEY = '/gatehouse.v1.KeyService/CreateKey';
const BATCH = '/gatehouse.v1.AuthService/VerifyBatch';
const KIB = 1024;

describe.each(WAYS)('bodies in $protocol over $over', (way) => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig();
  });
  afterAll(async () => {
    expect((await call(rig, way, GET_KEY, '{"id":"key_1"}', { token: GOOD_KEY })).told.code).toBe('ok');
    expect(rig.rawLog()).not.toContain(CANARY);
    await rig.drain(1000);
  });

  /** What a body is told, after checking that none of it is repeated. */
  const told = async (
    body: string | Uint8Array,
    { path = CREATE_KEY, headers = [] as readonly string[], compressed = false } = {},
  ): Promise<Told> => {
    const { told, answer } = await call(rig, way, path, body, { token: GOOD_KEY, headers, compressed });
    expect(`${JSON.stringify(answer)}${answer.body}`).not.toContain(CANARY);
    return told;
  };
  const invalid = async (body: string | Uint8Array): Promise<readonly string[]> => {
    const { code, violations, reason } = await told(body);
    expect([code, reason]).toEqual(['invalid_argument', expect.stringMatching(/^INVALID_(BODY|FIELD)$/)]);
    return violations;
  };

  test('a text that is no JSON is INVALID_ARGUMENT, with a place but no words of it', async () => {
    expect(await invalid(`{"name": ${CANARY}}`)).toEqual([': the body is not valid JSON']);
    expect(await invalid(`{"name": "a" "${CANARY}"}`)).toEqual([
      ': the body is not valid JSON (at character 13)',
    ]);
    expect(await invalid('')).toEqual([': the body is not valid JSON']);
    // A quotation of it may end within a character.
    for (let index = 0; index < 12; index++) {
      const text = `${'x'.repeat(index)}${'\u{10ffff}'.repeat(40)}`;
      expect(await invalid(text)).toEqual([expect.stringMatching(/^: the body is not valid JSON/)]);
    }
  });

  test('bytes that are no protobuf are INVALID_ARGUMENT and name the message', async () => {
    const message = ': the body is not a valid protobuf message of gatehouse.v1.CreateKeyRequest';
    expect(await invalid(Buffer.from(`\xff\xff\xff${CANARY}`, 'latin1'))).toEqual([message]);
    expect(await invalid(Buffer.from([0x0a, 0x05, 0x61]))).toEqual([message]);
    // Invalid UTF-8 in a string field.
    expect(await invalid(Buffer.from([0x0a, 0x02, 0xc3, 0x28]))).toEqual([message]);
  });

  test('an unknown field is refused with its path and the name that was meant', async () => {
    expect(await invalid(`{"permisions":["${CANARY}"]}`)).toEqual([
      'permisions: unknown field, did you mean permissions?',
    ]);
    expect(await invalid(`{"owner":{"kindd":"${CANARY}"}}`)).toEqual([
      'owner.kindd: unknown field, did you mean kind?',
    ]);
    expect(await invalid('{"owner":{"zzz":1}}')).toEqual(['owner.zzz: unknown field, accepted are kind, id']);
    expect(await invalid(`{"${CANARY}":1}`)).toEqual([expect.stringMatching(/^\.\.\.: unknown field/)]);
  });

  test('a value of the wrong type is told what is accepted, each by its own path', async () => {
    const body = {
      name: 5,
      permissions: ['a', 7],
      metadata: { team: 1 },
      ttl: CANARY,
      owner: [],
      neverExpires: 'x',
    };
    expect(await invalid(JSON.stringify({ ...body, keyspace: null, expireTime: undefined }))).toEqual([
      'name: must be a string of valid Unicode',
      'permissions[1]: must be a string of valid Unicode',
      'metadata["team"]: must be a string of valid Unicode',
      'ttl: must be a duration in seconds such as "3600s"',
      'owner: must be an object',
      'never_expires: cannot be given together with ttl',
      'never_expires: must be true or false',
    ]);
  });

  test('unpaired surrogates and invalid UTF-8 are refused', async () => {
    expect(await invalid('{"name":"\\ud800"}')).toEqual(['name: must be a string of valid Unicode']);
    // Sent as text of JSON, but broken in its bytes.
    const type = {
      grpc: 'application/grpc+json',
      'grpc-web': 'application/grpc-web+json',
      connect: 'application/json',
    };
    const bytes = Buffer.concat([Buffer.from('{"name":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]);
    const answer = await send(rig, way.over, {
      path: CREATE_KEY,
      headers: ['content-type', type[way.protocol], 'x-api-key', GOOD_KEY],
      body: way.protocol === 'connect' ? bytes : envelope(bytes),
    });
    expect(toldOf(way.protocol, answer).violations).toEqual([': the body is not valid UTF-8']);
  });

  test('a field that is given twice is refused', async () => {
    expect(await invalid(`{"name":"a","name":"${CANARY}"}`)).toEqual([
      expect.stringContaining('given twice'),
    ]);
  });

  test('10,000 levels of nesting are refused', async () => {
    const lists = `{"name":${'['.repeat(10_000)}${']'.repeat(10_000)}}`;
    expect(await invalid(lists)).toEqual(['name: must be a string of valid Unicode']);
    const objects = `${'{"owner":'.repeat(5000)}1${'}'.repeat(5000)}`;
    expect(await invalid(objects)).toEqual([expect.stringMatching(/^owner\.owner: unknown field/)]);
    expect(await invalid(Buffer.alloc(10_000, 0x0b))).toHaveLength(1);
  });

  test('NUL bytes are refused by the rules of the schema', async () => {
    expect(await invalid('{"keyspace":"acme","name":"a\\u0000b"}')).toEqual([
      'name: must not contain control characters',
    ]);
  });

  test('broken rules name each field, and at most 20 of them', async () => {
    expect(await invalid('{"keyspace":"ACME","name":""}')).toEqual([
      expect.stringMatching(/^keyspace: must be a keyspace id/),
      expect.stringMatching(/^name: /),
    ]);
    const permissions = Array.from({ length: 200 }, () => '§');
    expect(await invalid(JSON.stringify({ keyspace: 'acme', name: 'n', permissions }))).toHaveLength(20);
  });

  test('of a list with too many entries only that is told, and no entry is looked at', async () => {
    const permissions = Array.from({ length: 3000 }, () => '§');
    expect(await invalid(JSON.stringify({ keyspace: 'acme', name: 'n', permissions }))).toEqual([
      'permissions: must have at most 256 entries',
    ]);
  });

  test('a message over 64 KiB is RESOURCE_EXHAUSTED with reason MESSAGE_TOO_LARGE', async () => {
    const large = JSON.stringify({ name: 'x'.repeat(64 * KIB) });
    expect(await told(large)).toMatchObject({ code: 'resource_exhausted', reason: 'MESSAGE_TOO_LARGE' });
    const fits = JSON.stringify({ name: 'x'.repeat(60 * KIB) });
    expect(await told(fits)).toMatchObject({ code: 'invalid_argument' });
  });

  test('a body that never ends is cut off at the limit', async () => {
    const type = way.protocol === 'connect' ? 'application/json' : `application/${way.protocol}`;
    const answer = await send(rig, way.over, {
      path: CREATE_KEY,
      headers: ['content-type', type, 'x-api-key', GOOD_KEY],
      // An envelope that claims less than what follows would be another fault.
      body: way.protocol === 'connect' ? Buffer.from('{') : envelope(Buffer.alloc(0), 0, 0x7fffffff),
      endless: Buffer.alloc(16 * KIB, ' '),
    });
    expect(toldOf(way.protocol, answer).reason).toBe('MESSAGE_TOO_LARGE');
  });

  test('a gzip bomb is stopped at the limit, and gzip that fits is taken', async () => {
    const headers = [ENCODING_HEADERS[way.protocol], 'gzip'];
    const gzip = (text: string) => gzipSync(text);
    const asJson = (bytes: Buffer) =>
      call(rig, way, GET_KEY, bytes, { token: GOOD_KEY, headers, compressed: true });
    const bomb = gzip(`{"name":"${'x'.repeat(50 * KIB * KIB)}"}`).subarray(0, 60 * KIB);
    expect((await asJson(bomb)).told.reason).toBe('MESSAGE_TOO_LARGE');
    expect((await asJson(Buffer.from('no gzip'))).told).toMatchObject({
      code: 'invalid_argument',
      reason: 'INVALID_BODY',
    });
    const small = gzipSync(toBinary(GetKeyRequestSchema, create(GetKeyRequestSchema, { id: 'key_1' })));
    expect((await asJson(small)).told.code).toBe('ok');
  });

  test('VerifyBatch may have 1 MiB, and a bad item does not fail the others', async () => {
    const requests = Array.from({ length: 100 }, () => ({ token: 'x'.repeat(8 * KIB) }));
    expect(await told(JSON.stringify({ requests }), { path: BATCH })).toMatchObject({ code: 'ok' });
    const { message } = await call(
      rig,
      way,
      BATCH,
      toBinary(
        VerifyBatchRequestSchema,
        create(VerifyBatchRequestSchema, { requests: [{ permissions: ['§'] }, {}] }),
      ),
      { token: GOOD_KEY },
    );
    expect(message.toString()).toContain('permissions[0]');
    expect(await told('{"requests":[]}', { path: BATCH })).toMatchObject({ code: 'invalid_argument' });
    const over = Array.from({ length: 100 }, () => ({ token: 'x'.repeat(11 * KIB) }));
    expect(await told(JSON.stringify({ requests: over }), { path: BATCH })).toMatchObject({
      reason: 'MESSAGE_TOO_LARGE',
    });
  });

  test('default values are written out in JSON', async () => {
    const { message } = await call(rig, way, '/gatehouse.v1.AuthService/Verify', '{"token":"bad"}', {
      token: GOOD_KEY,
    });
    expect(JSON.parse(message.toString())).toMatchObject({
      valid: false,
      status: 'VERIFY_STATUS_REVOKED',
      checks: [],
    });
  });
});

test('an unframed, a cut and a doubled gRPC message are refused as such', async () => {
  const rig = await startRig();
  const ask = async (body: Buffer) => {
    const headers = ['content-type', 'application/grpc', 'x-api-key', GOOD_KEY];
    const { code, reason } = toldOf('grpc', await send(rig, 'h2', { path: GET_KEY, headers, body }));
    return `${code} ${reason}`;
  };
  expect(await ask(Buffer.alloc(0))).toBe('unimplemented MESSAGE_COUNT');
  expect(await ask(Buffer.concat([envelope(Buffer.alloc(0)), envelope(Buffer.alloc(0))]))).toBe(
    'unimplemented MESSAGE_COUNT',
  );
  expect(await ask(envelope(Buffer.from('ab'), 0, 9))).toBe('invalid_argument INVALID_BODY');
  expect(await ask(Buffer.from([0, 0]))).toBe('invalid_argument INVALID_BODY');
  expect(await ask(envelope(Buffer.from('ab'), 1))).toBe('invalid_argument INVALID_BODY');
  await rig.drain(1000);
});
