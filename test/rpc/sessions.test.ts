/** Limits of connections, with times and counts that a test can wait for. */

import { once } from 'node:events';
import http2 from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import { expect, test } from 'vitest';
import { HeldBytes } from '../../src/rpc/held.ts';
import { Sessions } from '../../src/rpc/sessions.ts';
import {
  END_HEADERS,
  END_STREAM,
  ERROR,
  Http2Peer,
  headerBlock,
  headers,
  SETTING,
  TYPE,
} from '../support/http2-peer.ts';
import { startRig } from './rig.ts';

const GET = headers(
  1,
  headerBlock([
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'x'],
  ]),
  END_HEADERS | END_STREAM,
);

async function serve(limits: { settingsMs: number; unreadMs: number }) {
  const server = http2.createServer();
  const sessions = new Sessions(server, { quietMs: 60_000, ...limits });
  server.on('stream', (stream) => {
    stream.respond();
    stream.end('answer');
    stream.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const stop = () => {
    sessions.destroy();
    server.close();
  };
  return { port, address: `127.0.0.1:${port}`, stop };
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
