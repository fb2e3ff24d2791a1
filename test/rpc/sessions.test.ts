/** Limits of connections, with times and counts that a test can wait for. */

import { once } from 'node:events';
import http2 from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { HeldBytes } from '../../src/rpc/held.ts';
import { type SessionLimits, Sessions } from '../../src/rpc/sessions.ts';
import {
  END_HEADERS,
  END_STREAM,
  ERROR,
  frame,
  Http2Peer,
  headerBlock,
  headers,
  SETTING,
  TYPE,
} from '../support/http2-peer.ts';
import { startRig } from './rig.ts';

const get = (path: string) =>
  headers(
    1,
    headerBlock([
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', path],
      [':authority', 'x'],
    ]),
    END_HEADERS | END_STREAM,
  );
const GET = get('/');

async function serve(limits: Pick<SessionLimits, 'settingsMs' | 'unreadMs'> & Partial<SessionLimits>) {
  const server = http2.createServer();
  const sessions = new Sessions(server, { quietMs: 60_000, answerMs: 60_000, ...limits });
  server.on('stream', (stream, headers) => {
    stream.respond();
    if (headers[':path'] === '/open') stream.write('answer');
    else stream.end('answer');
    stream.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const stop = () => {
    sessions.destroy();
    server.close();
  };
  const connections = () => promisify(server.getConnections.bind(server))();
  return { port, address: `127.0.0.1:${port}`, connections, stop };
}

test('a peer that has not acknowledged the settings in time, or said nothing at all, is cut off', async () => {
  const { port, address, stop } = await serve({ settingsMs: 100, unreadMs: 60_000 });
  const mute = await Http2Peer.open(address, [], { acknowledges: false });
  const silent = connect(port, '127.0.0.1')
    .on('error', () => {})
    .resume();
  const good = await Http2Peer.open(address);
  await Promise.all([mute.closed, once(silent, 'close')]);
  good.send(GET);
  expect(await good.find(({ type }) => type === TYPE.data)).toBeDefined();
  good.end();
  stop();
});

test('an answer whose reader opens no window is given up, and its connection stays', async () => {
  const { address, stop } = await serve({ settingsMs: 60_000, unreadMs: 100 });
  const peer = await Http2Peer.open(address, [[SETTING.initialWindowSize, 0]]);
  peer.send(GET);
  const reset = await peer.find(({ type }) => type === TYPE.resetStream);
  expect(reset?.payload.readUInt32BE(0)).toBe(ERROR.enhanceYourCalm);
  expect(peer.isOpen).toBe(true);
  peer.end();
  stop();
});

test('a peer that says GOAWAY, breaks the protocol and leaves is not held on to, nor its calls', async () => {
  const { address, connections, stop } = await serve({ settingsMs: 60_000, unreadMs: 100, answerMs: 100 });
  const goaway = frame(TYPE.goaway, 0, 0, Buffer.alloc(8));
  const onIdleStream = frame(TYPE.data, 0, 101, Buffer.alloc(5));
  for (const path of ['/', '/open']) {
    const peer = await Http2Peer.open(address);
    await peer.find(({ type }) => type === TYPE.settings);
    peer.send(get(path), goaway, onIdleStream);
    await peer.find(({ type, payload }) => type === TYPE.goaway && payload.length > 8);
    peer.end();
  }
  await expect.poll(connections, { timeout: 5000 }).toBe(0);
  stop();
});

test('a peer that says GOAWAY and goes on reading keeps its call, and is asked for a sign of life', async () => {
  const { address, connections, stop } = await serve({ settingsMs: 60_000, unreadMs: 50, answerMs: 200 });
  const peer = await Http2Peer.open(address);
  peer.send(get('/open'));
  await peer.find(({ type }) => type === TYPE.data);
  peer.send(frame(TYPE.goaway, 0, 0, Buffer.alloc(8)));
  const asked = () => peer.frames.filter(({ type, flags }) => type === TYPE.settings && flags === 0).length;
  // Longer than one that gives no sign would be waited for.
  await expect.poll(asked, { timeout: 5000 }).toBeGreaterThan(10);
  expect([peer.isOpen, await connections()]).toEqual([true, 1]);
  peer.end();
  stop();
});

test('connections above the limit are closed, and those that are open go on', async () => {
  const rig = await startRig({ maxConnections: 2 });
  for (const port of [rig.grpcPort, rig.httpPort]) {
    const sockets = [1, 2, 3].map(() => connect(port, '127.0.0.1').on('error', () => {}));
    const [first, second, third] = sockets;
    if (third !== undefined) await once(third, 'close');
    expect([first?.destroyed, second?.destroyed]).toEqual([false, false]);
    for (const socket of sockets) socket.destroy();
  }
  await rig.drain(100);
});

test('what is held for slow peers is bounded by count and by bytes, and the oldest gives way', () => {
  const given: string[] = [];
  const held = new HeldBytes({ count: 3, bytes: 100 });
  const begin = (name: string) => held.begin(() => given.push(name));
  const [, second, third] = ['first', 'second', 'third'].map(begin);
  expect(given).toEqual([]);
  const fourth = begin('fourth');
  expect(given).toEqual(['first']);
  second?.grew(60);
  fourth.grew(50);
  expect(given).toEqual(['first', 'second']);
  third?.done();
  third?.grew(1000);
  second?.grew(1000);
  expect(given).toEqual(['first', 'second']);
  // One alone that is above all bounds goes as well.
  fourth.grew(51);
  expect(given).toEqual(['first', 'second', 'fourth']);
});
