/** A client of a stream that does not read: nothing is kept for it, and it is cut off. */

import http from 'node:http';
import http2 from 'node:http2';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AuthService } from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { openStream } from '../support/grpc-stream.ts';
import { GOOD_KEY, type Rig, startRig } from './rig.ts';
import { envelope } from './wire.ts';

const PATH = '/gatehouse.v1.AuthService/WatchRevocations';
const FLOOD = envelope(Buffer.from('{"keyspaces":["flood"]}'));

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig.drain(1000));

const cutOff = (requestId: string) =>
  rig
    .line(requestId)
    .then(({ code, reason }) => expect([code, reason]).toEqual(['RESOURCE_EXHAUSTED', 'READER_TOO_SLOW']));

test.concurrent('over grpc-js it gets RESOURCE_EXHAUSTED', async () => {
  const stream = openStream(
    rig.grpcAddress,
    AuthService.method.watchRevocations,
    { keyspaces: ['flood'] },
    GOOD_KEY,
  );
  await stream.until(1);
  stream.pause();
  expect(await stream.ended).toMatchObject({ code: 8 });
});

test.concurrent('over HTTP/2 it gets ENHANCE_YOUR_CALM', async () => {
  const session = http2.connect(`http://${rig.grpcAddress}`, { settings: { initialWindowSize: 100 } });
  const stream = session.request({
    ':method': 'POST',
    ':path': PATH,
    'content-type': 'application/grpc+json',
    authorization: `Bearer ${GOOD_KEY}`,
    'x-request-id': 'stalled-h2',
  });
  const ended = new Promise<number>((resolve) => stream.on('close', () => resolve(stream.rstCode)));
  stream.on('error', () => {});
  stream.end(FLOOD);
  await cutOff('stalled-h2');
  expect(await ended).toBe(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
  session.destroy();
});

test.concurrent('over HTTP/1.1 its connection ends', async () => {
  const { hostname, port } = new URL(`http://${rig.httpAddress}`);
  const request = http.request({
    hostname,
    port,
    path: PATH,
    method: 'POST',
    agent: false,
    headers: {
      'content-type': 'application/connect+json',
      authorization: `Bearer ${GOOD_KEY}`,
      'x-request-id': 'stalled-h1',
    },
  });
  const answered = new Promise<http.IncomingMessage>((resolve) => request.on('response', resolve));
  request.on('error', () => {});
  request.end(FLOOD);
  const response = await answered;
  response.on('error', () => {});
  response.pause();
  await cutOff('stalled-h1');
  request.destroy();
});

test.concurrent('one that reads goes on', async () => {
  const stream = openStream(
    rig.grpcAddress,
    AuthService.method.watchRevocations,
    { keyspaces: ['flood'] },
    GOOD_KEY,
  );
  await stream.until(5000);
  stream.cancel();
  expect(await stream.ended).toMatchObject({ code: 1 });
});
