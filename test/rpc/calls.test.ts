import http from 'node:http';
import http2 from 'node:http2';
import { createConnection } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGrpcClient } from '../../src/client/grpc.ts';
import { KeyService } from '../../src/gen/gatehouse/v1/key_service_pb.js';
import { CANARY, GOOD_KEY, type Rig, startRig } from './rig.ts';
import { call, envelope, send, TIMEOUT_HEADERS, WAYS } from './wire.ts';

const GET_KEY = '/gatehouse.v1.KeyService/GetKey';
const get = (id: string) => JSON.stringify({ id });

describe.each(WAYS)('calls in $protocol over $over', (way) => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig();
  });
  afterAll(() => rig.drain(200));

  const ask = async (id: string, headers: readonly string[] = []) =>
    (await call(rig, way, GET_KEY, get(id), { token: GOOD_KEY, headers })).told;

  test('failures keep their code, reason, words and details', async () => {
    expect(await ask('key_missing')).toMatchObject({
      code: 'not_found',
      reason: 'NOT_FOUND',
      message: 'the key was not found',
    });
    expect(await ask('key_conflict')).toMatchObject({
      code: 'aborted',
      reason: 'REVISION_MISMATCH',
      message: 'the key has moved on – größer',
    });
    expect(await ask('key_outage')).toMatchObject({
      code: 'unavailable',
      reason: 'STORE_UNAVAILABLE',
      retrySeconds: 1.5,
    });
  });

  test('the cause of an outage is in the log, and not in the answer', async () => {
    const { answer } = await call(rig, way, GET_KEY, get('key_outage'), { token: GOOD_KEY });
    expect(`${JSON.stringify(answer)}${answer.body}`).not.toContain('disk');
    expect(await rig.line(answer.headers['x-request-id'] ?? '')).toMatchObject({
      level: 'warn',
      reason: 'STORE_UNAVAILABLE',
      err: { message: 'disk I/O error' },
    });
  });

  test('a handler that hangs is answered DEADLINE_EXCEEDED in time', async () => {
    const began = performance.now();
    const timeout = way.protocol === 'connect' ? '150' : '150m';
    const told = await ask('key_hang', [TIMEOUT_HEADERS[way.protocol], timeout]);
    expect(told).toMatchObject({ code: 'deadline_exceeded', reason: 'DEADLINE_EXCEEDED', retrySeconds: 1 });
    expect(performance.now() - began).toBeLessThan(2000);
    expect(rig.calls.at(-1)?.signal.aborted).toBe(true);
  });

  test('a timeout of zero is DEADLINE_EXCEEDED before anything is done', async () => {
    const seen = rig.calls.length;
    const timeout = way.protocol === 'connect' ? '0' : '0m';
    expect((await ask('key_1', [TIMEOUT_HEADERS[way.protocol], timeout])).code).toBe('deadline_exceeded');
    expect(rig.calls.length).toBe(seen);
  });

  test.each(['key_boom', 'key_unencodable'])(
    'what nobody foresaw (%s) is INTERNAL with an id that the log has',
    async (id) => {
      const { told, answer } = await call(rig, way, GET_KEY, get(id), { token: GOOD_KEY });
      expect(told).toMatchObject({ code: 'internal', reason: 'INTERNAL' });
      const errorId = told.info.error_id;
      expect(errorId).toMatch(/^err_[0-9a-f]{20}$/);
      expect(told.message).toContain(`error id ${errorId}`);
      expect(`${JSON.stringify(answer)}${answer.body}`).not.toMatch(
        /mongodb|driver|cannot be|TypeError|\.ts/,
      );
      const line = await rig.line(answer.headers['x-request-id'] ?? '');
      expect(line).toMatchObject({ level: 'error', code: 'INTERNAL', error_id: errorId });
      expect(JSON.stringify(line.err)).toMatch(id === 'key_boom' ? /the driver says/ : /cannot be encoded/);
    },
  );

  test('a secret that an error quotes is in neither the answer nor the log', async () => {
    const { told, answer } = await call(rig, way, GET_KEY, get('key_leak'), { token: GOOD_KEY });
    expect(told.code).toBe('internal');
    await rig.line(answer.headers['x-request-id'] ?? '');
    expect(`${JSON.stringify(answer)}${answer.body}${rig.rawLog()}`).not.toContain(CANARY);
    expect(rig.rawLog()).not.toContain(GOOD_KEY);
  });

  test('each call leaves exactly one line and one count', async () => {
    const id = `once-${way.protocol}-${way.over}`;
    await ask('key_missing', ['x-request-id', id]);
    await rig.line(id);
    expect(rig.lines.filter((line) => line.request_id === id)).toEqual([
      {
        level: 'info',
        time: expect.any(String),
        msg: 'call',
        request_id: id,
        method: 'gatehouse.v1.KeyService/GetKey',
        code: 'NOT_FOUND',
        reason: 'NOT_FOUND',
        caller: 'key_caller',
        peer: '127.0.0.1',
        duration_ms: expect.any(Number),
        key_id: 'key_missing',
      },
    ]);
    expect(await rig.metrics.text()).toMatch(
      /gatehouse_rpc_requests_total\{service="gatehouse.v1.KeyService",method="GetKey",code="NOT_FOUND"\} 2\n/,
    );
  });

  test('a call whose client goes away ends as CANCELLED, and its handler is told', async () => {
    const id = `gone-${way.protocol}-${way.over}`;
    const type = way.protocol === 'connect' ? 'application/json' : `application/${way.protocol}+json`;
    const body =
      way.protocol === 'connect' ? Buffer.from(get('key_hang')) : envelope(Buffer.from(get('key_hang')));
    const headers = { 'content-type': type, 'x-api-key': GOOD_KEY, 'x-request-id': id };
    const seen = rig.calls.length;
    const handled = async () => {
      while (rig.calls.length === seen) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    if (way.over === 'h2') {
      const session = http2.connect(`http://127.0.0.1:${rig.grpcPort}`);
      const stream = session.request({ ':method': 'POST', ':path': GET_KEY, ...headers });
      stream.on('error', () => {});
      stream.end(body);
      await handled();
      stream.close(http2.constants.NGHTTP2_CANCEL);
      await rig.line(id);
      session.destroy();
    } else {
      const request = http.request({
        port: rig.httpPort,
        host: '127.0.0.1',
        method: 'POST',
        path: GET_KEY,
        headers,
      });
      request.on('error', () => {});
      request.end(body);
      await handled();
      request.destroy();
    }
    expect(await rig.line(id)).toMatchObject({ code: 'CANCELLED', key_id: 'key_hang' });
    expect(rig.calls.at(-1)?.signal.aborted).toBe(true);
  });
});

test('a body that breaks off in the middle ends as CANCELLED', async () => {
  const rig = await startRig();
  const socket = createConnection(rig.httpPort, '127.0.0.1');
  socket.write(
    `POST ${GET_KEY} HTTP/1.1\r\nhost: x\r\nx-request-id: broken\r\nx-api-key: ${GOOD_KEY}\r\n` +
      'content-type: application/json\r\ncontent-length: 100\r\n\r\n{"id":',
  );
  while (rig.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  socket.destroy();
  expect(await rig.line('broken')).toMatchObject({ code: 'CANCELLED' });
  await rig.drain(1000);
});

test('over grpc-js a message that is not ASCII or is full of reserved characters arrives as it was', async () => {
  const rig = await startRig();
  const keys = createGrpcClient(KeyService, rig.grpcAddress, { token: GOOD_KEY });
  await expect(keys.getKey({ id: 'key_conflict' })).rejects.toThrow('the key has moved on – größer');
  const refused = createGrpcClient(KeyService, rig.grpcAddress);
  await expect(refused.getKey({ id: 'x' })).rejects.toThrow(
    'send "authorization: Bearer <key>" or "x-api-key: <key>"',
  );
  keys.close();
  refused.close();
  await rig.drain(1000);
});

test('over grpc-js a deadline, a cancel, an oversize message and 200 calls at once are as gRPC has them', async () => {
  const rig = await startRig();
  const keys = createGrpcClient(KeyService, rig.grpcAddress, { token: GOOD_KEY });
  await expect(keys.getKey({ id: 'key_hang' }, { timeout: 100 })).rejects.toMatchObject({
    code: 'DEADLINE_EXCEEDED',
  });
  await expect(keys.createKey({ name: 'x'.repeat(200_000) })).rejects.toMatchObject({
    reason: 'MESSAGE_TOO_LARGE',
  });
  const answers = await Promise.all(Array.from({ length: 200 }, () => keys.getKey({ id: 'key_1' })));
  expect(answers.every(({ key }) => key?.id === 'key_1')).toBe(true);
  keys.close();
  await rig.drain(1000);
});

test('calls above the bound are shed with TOO_MANY_IN_FLIGHT, but health checks never', async () => {
  const rig = await startRig({ limits: { calls: 2, streams: 1, publicStreams: 1 } });
  const way = { protocol: 'connect', over: 'h1' } as const;
  const waiting = [1, 2].map(() => call(rig, way, GET_KEY, get('key_wait'), { token: GOOD_KEY }));
  while (rig.calls.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  const { told, answer } = await call(rig, way, GET_KEY, get('key_1'), { token: GOOD_KEY });
  expect(told).toMatchObject({ code: 'resource_exhausted', reason: 'TOO_MANY_IN_FLIGHT', retrySeconds: 1 });
  expect(answer.status).toBe(429);
  expect((await call(rig, way, '/grpc.health.v1.Health/Check', '{}')).told.code).toBe('ok');
  rig.letGo();
  for (const { told } of await Promise.all(waiting)) expect(told.code).toBe('ok');
  expect((await call(rig, way, GET_KEY, get('key_1'), { token: GOOD_KEY })).told.code).toBe('ok');
  await rig.drain(1000);
});

test('rubbish on the wire disturbs nobody', async () => {
  const rig = await startRig();
  for (const port of [rig.grpcPort, rig.httpPort]) {
    for (const rubbish of [
      '\0\0\0\0',
      'GET / HTTP/1.1\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrubbish',
      'x'.repeat(70_000),
    ]) {
      const socket = createConnection(port, '127.0.0.1');
      socket.on('error', () => {});
      socket.end(rubbish);
      socket.resume();
      await new Promise((resolve) => socket.once('close', resolve));
    }
  }
  for (const path of ['//', '/%00', 'http://other/x', '*', '/__proto__', '/a/constructor', '/healthz/../x']) {
    const headers = ['content-type', 'application/json', 'host', 'a b'];
    await send(rig, 'h1', { path, headers }).catch(() => undefined);
    await send(rig, 'h2', { path, headers: headers.slice(0, 2) }).catch(() => undefined);
  }
  for (const way of WAYS) {
    expect((await call(rig, way, GET_KEY, get('key_1'), { token: GOOD_KEY })).told.code).toBe('ok');
  }
  await rig.drain(1000);
});
