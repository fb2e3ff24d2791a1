import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GOOD_KEY, type Rig, startRig } from './rig.ts';
import { call, ENCODING_HEADERS, send, TIMEOUT_HEADERS, told as toldOf, WAYS } from './wire.ts';

const GET_KEY = '/gatehouse.v1.KeyService/GetKey';
const QUESTION = '{"id":"key_1"}';

describe.each(WAYS)('headers in $protocol over $over', (way) => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig();
  });
  afterAll(() => rig.drain(1000));

  const withHeaders = (...headers: string[]) =>
    call(rig, way, GET_KEY, QUESTION, { token: GOOD_KEY, headers });

  test('a request id is taken, echoed and logged; one that is not printable is replaced', async () => {
    const { answer } = await withHeaders('x-request-id', 'mine 42');
    expect(answer.headers['x-request-id']).toBe('mine 42');
    expect((await rig.line('mine 42')).method).toBe('gatehouse.v1.KeyService/GetKey');
    for (const bad of ['x'.repeat(129), 'caf\xe9', '']) {
      const { answer } = await withHeaders('x-request-id', bad);
      expect(answer.headers['x-request-id']).toMatch(/^req_[0-9A-Za-z]{25}$/);
    }
  });

  test('a timeout that does not parse is INVALID_ARGUMENT and names the header', async () => {
    const name = TIMEOUT_HEADERS[way.protocol];
    for (const bad of ['abc', '-1', '10x', '99999999999', '1.5S']) {
      const { told } = await withHeaders(name, bad);
      expect(told.code).toBe('invalid_argument');
      expect(told.violations).toEqual([expect.stringContaining(`${name}: must be`)]);
    }
  });

  test('a deadline is clamped to 60 s, and 10 s where none was named', async () => {
    await withHeaders();
    expect(rig.calls.at(-1)?.timeLeftMs()).toBeLessThanOrEqual(10_000);
    expect(rig.calls.at(-1)?.timeLeftMs()).toBeGreaterThan(8000);
    await withHeaders(TIMEOUT_HEADERS[way.protocol], way.protocol === 'connect' ? '9999999999' : '99999999H');
    expect(rig.calls.at(-1)?.timeLeftMs()).toBeLessThanOrEqual(60_000);
    expect(rig.calls.at(-1)?.timeLeftMs()).toBeGreaterThan(50_000);
  });

  test('an unknown compression is UNIMPLEMENTED and names what is accepted', async () => {
    const { told } = await withHeaders(ENCODING_HEADERS[way.protocol], 'snappy');
    expect(told).toMatchObject({ code: 'unimplemented', reason: 'COMPRESSION_UNKNOWN' });
    expect(told.message).toContain('gzip');
  });

  test('an unknown method is UNIMPLEMENTED in the protocol of the client, and unknown in the metrics', async () => {
    for (const path of ['/gatehouse.v1.KeyService/Nope', '/nope.v1.Nope/Nope']) {
      const { told, answer } = await call(rig, way, path, '{}', { token: GOOD_KEY });
      expect(answer.status).toBe(way.protocol === 'connect' ? 404 : 200);
      expect(told).toMatchObject({ code: 'unimplemented', reason: 'METHOD_UNKNOWN' });
    }
    const { told } = await call(rig, way, '/nowhere', '{}');
    expect(told.code).toBe('not_found');
    const text = await rig.metrics.text();
    expect(text).toContain('{service="unknown",method="unknown",code="UNIMPLEMENTED"} 2');
    expect(text).not.toContain('Nope');
  });

  test('a content type that is none of ours is HTTP 415', async () => {
    for (const type of [
      'text/plain',
      'application/grpc+thrift',
      'application/grpc-web-text',
      'application/connect+json',
    ]) {
      const answer = await send(rig, way.over, {
        path: GET_KEY,
        headers: ['content-type', type, 'x-api-key', GOOD_KEY],
      });
      expect(answer.status).toBe(415);
      expect(toldOf('connect', answer)).toMatchObject({
        code: 'invalid_argument',
        reason: 'UNSUPPORTED_MEDIA_TYPE',
      });
    }
    const none = await send(rig, way.over, { path: GET_KEY, headers: ['x-api-key', GOOD_KEY] });
    expect(none.status).toBe(415);
  });

  test('GET is HTTP 405, also for a method that Connect would allow it for', async () => {
    const path = '/gatehouse.v1.AuthService/Verify?encoding=json&message=%7B%7D&connect=v1';
    const answer = await send(rig, way.over, { method: 'GET', path, headers: ['x-api-key', GOOD_KEY] });
    expect(answer.status).toBe(405);
    expect(answer.headers.allow).toBe('POST');
    expect(toldOf('connect', answer).reason).toBe('METHOD_NOT_ALLOWED');
  });
});

test('headers of HTTP/1.1 over 16 KiB are refused and the listener goes on', async () => {
  const rig = await startRig();
  const headers = ['content-type', 'application/json', 'x-api-key', GOOD_KEY, 'x-large', 'x'.repeat(20_000)];
  expect((await send(rig, 'h1', { path: GET_KEY, headers })).status).toBe(431);
  for (const way of WAYS) {
    expect((await call(rig, way, GET_KEY, QUESTION, { token: GOOD_KEY })).told.code).toBe('ok');
  }
  await rig.drain(1000);
});

test('a stream in both directions needs HTTP/2', async () => {
  const rig = await startRig();
  const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
  const answer = await send(rig, 'h1', { path, headers: ['content-type', 'application/connect+json'] });
  expect(answer.status).toBe(505);
  expect(toldOf('connect', answer).reason).toBe('NEEDS_HTTP2');
  await rig.drain(1000);
});
