/**
 * Peers that misbehave on the port of gRPC, in frames of their own: another client's Verify goes on meanwhile, memory stays
 * bounded, and their connections end or cost nothing.
 */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as after } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Besieged, VERIFY } from '../support/besieged.ts';
import { callJson } from '../support/gatehouse.ts';
import {
  END_HEADERS,
  END_STREAM,
  ERROR,
  frame,
  Http2Peer,
  headerBlock,
  headers,
  INDEXED,
  indexedField,
  ping,
  resetStream,
  SETTING,
  settings,
  TYPE,
} from '../support/http2-peer.ts';

/** Milliseconds of a well-behaved Verify meanwhile, on a machine that also runs the flood and other tests. */
const MEDIAN_MS = 250;
const SLOWEST_MS = 5000;
/** MiB. What a service of a size for 512 MB can spare, and what is noise between two collections of garbage. */
const PEAK_MIB = 200;
const LEFT_MIB = 12;
const FLOOD_MS = 500;
const LIST_KEYS = '/gatehouse.v1.KeyService/ListKeys';

let besieged: Besieged;
beforeAll(async () => {
  besieged = await Besieged.start();
});
afterAll(() => besieged?.remove());

const open = (own?: Parameters<typeof Http2Peer.open>[1]) => Http2Peer.open(besieged.gatehouse.grpc, own);
const data = (stream: number, bytes: Buffer, flags = 0) => frame(TYPE.data, flags, stream, bytes);
const block = (path = VERIFY, more: readonly (readonly [string, string])[] = []) =>
  headerBlock([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'x'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...more,
  ]);
const withKey = (path = VERIFY) => block(path, [['authorization', `Bearer ${besieged.gatehouse.rootKey}`]]);
const ids = (count: number, from = 1) => Array.from({ length: count }, (_, index) => from + 2 * index);
/** Answers that are whole. */
const ended = (peer: Http2Peer) =>
  peer.frames.filter(({ flags, type }) => type === TYPE.headers && flags & END_STREAM).length;
/** Streams whose answer has begun. */
const answered = (peer: Http2Peer) =>
  new Set(peer.frames.filter(({ type }) => type === TYPE.headers).map(({ stream }) => stream)).size;
/** RST_STREAM by their codes. */
const resets = (peer: Http2Peer, code: number) =>
  peer.frames.filter(({ type, payload }) => type === TYPE.resetStream && payload.readUInt32BE(0) === code)
    .length;

/** Sends as fast as the service takes it, for a while or until it ends the connection. @returns how often. */
async function flood(peer: Http2Peer, next: () => readonly Buffer[], ms = FLOOD_MS): Promise<number> {
  const until = performance.now() + ms;
  let sent = 0;
  for (; peer.isOpen && performance.now() < until; sent++) {
    await peer.sent(...next());
    await after(0);
  }
  return sent;
}

/** What holds in each case. */
async function withstood(attack: () => Promise<unknown>): Promise<void> {
  const before = await besieged.vitals();
  // A flood that is cut off at once is over before the other client has called often enough to tell.
  const siege = await besieged.during(() => Promise.all([attack(), after(FLOOD_MS)]));
  expect(siege.wrong).toEqual([]);
  expect(siege.median).toBeLessThan(MEDIAN_MS);
  expect(siege.slowest).toBeLessThan(SLOWEST_MS);
  expect(siege.peakGrowth).toBeLessThan(PEAK_MIB);
  expect(siege.heapGrowth).toBeLessThan(LEFT_MIB);
  const now = await besieged.back(before, 5000);
  expect(now.descriptors).toBeLessThanOrEqual(before.descriptors + 2);
  expect(now.inFlight).toBe(0);
}

/** As a client that has to connect anew each time that its connection is ended. */
async function rapidReset(path: string): Promise<{ streams: number; ended: number }> {
  const until = performance.now() + FLOOD_MS;
  const counts = { streams: 0, ended: 0 };
  const one = block(path);
  while (performance.now() < until) {
    const peer = await open();
    let next = 1;
    await flood(
      peer,
      () => {
        const frames = ids(100, next).flatMap((id) => [headers(id, one), resetStream(id)]);
        next += 200;
        counts.streams += 100;
        return frames;
      },
      until - performance.now(),
    );
    if (!peer.isOpen) counts.ended++;
    peer.end();
  }
  return counts;
}

test.for([VERIFY, LIST_KEYS, '/x'])('streams that are opened and reset, of %s', (path) =>
  withstood(async () => {
    const { streams, ended } = await rapidReset(path);
    expect(streams).toBeGreaterThan(1000);
    expect(ended).toBeGreaterThan(0);
  }),
);

test.for([
  ['SETTINGS', () => settings([SETTING.initialWindowSize, 100])],
  ['PING', () => ping()],
] as const)('a flood of %s whose answers are not read', ([, one]) =>
  withstood(async () => {
    const peer = await open();
    peer.socket.pause();
    const many = Array.from({ length: 500 }, one);
    await flood(peer, () => many);
    peer.socket.resume();
    await Promise.race([peer.closed, after(2000)]);
    expect(peer.isOpen).toBe(false);
  }),
);

test('CONTINUATION without an end', () =>
  withstood(async () => {
    for (const part of [headerBlock([['x', 'y'.repeat(1000)]]), Buffer.alloc(0)]) {
      const peer = await open();
      peer.send(frame(TYPE.headers, 0, 1, block()));
      const many = Array.from({ length: 20 }, () => frame(TYPE.continuation, 0, 1, part));
      await flood(peer, () => many);
      await Promise.race([peer.closed, after(2000)]);
      expect(peer.isOpen).toBe(false);
    }
  }));

test('headers that unpack to megabytes', () =>
  withstood(async () => {
    const peer = await open();
    peer.send(
      headers(1, Buffer.concat([block(), indexedField('bomb', 'z'.repeat(3900))]), END_HEADERS | END_STREAM),
    );
    const bomb = Buffer.concat([block(), Buffer.alloc(15_000, INDEXED)]);
    let next = 3;
    const sent = await flood(peer, () => {
      next += 2;
      return [headers(next, bomb, END_HEADERS | END_STREAM)];
    });
    await after(200);
    expect(resets(peer, ERROR.enhanceYourCalm)).toBe(peer.isOpen ? sent : expect.any(Number));
    peer.end();
  }));

test('headers of 60 KB, above the limit that the peer does not acknowledge', () =>
  withstood(async () => {
    const peer = await Http2Peer.open(besieged.gatehouse.grpc, [], { acknowledges: false });
    const large = block(VERIFY, [['x', 'y'.repeat(60_000)]]);
    let next = 1;
    await flood(peer, () => {
      next += 2;
      return [headers(next, large)];
    });
    peer.end();
  }));

test('a peer that never opens its window keeps no place that others need', () =>
  withstood(async () => {
    const peers = await Promise.all(ids(4).map(() => open([[SETTING.initialWindowSize, 0]])));
    const empty = Buffer.alloc(5);
    for (const peer of peers) {
      const calls = ids(400).flatMap((id) => [headers(id, withKey(LIST_KEYS)), data(id, empty, END_STREAM)]);
      await peer.sent(...calls);
    }
    // All of them are answered as far as the window lets them.
    for (const peer of peers) await expect.poll(() => answered(peer), { timeout: 20_000 }).toBe(400);
    const { status } = await callJson(
      besieged.gatehouse,
      'KeyService/ListKeys',
      {},
      { key: besieged.gatehouse.rootKey },
    );
    expect(status).toBe(200);
    for (const peer of peers) peer.end();
  }));

test('answers of the short way that nobody reads', () =>
  withstood(async () => {
    const peers = await Promise.all(ids(4).map(() => open([[SETTING.initialWindowSize, 0]])));
    const { message } = besieged;
    for (const peer of peers) {
      const calls = ids(400).flatMap((id) => [headers(id, withKey()), data(id, message, END_STREAM)]);
      await peer.sent(...calls);
    }
    for (const peer of peers) await expect.poll(() => answered(peer), { timeout: 20_000 }).toBe(400);
    for (const peer of peers) peer.end();
  }));

test('bodies that never come, and such that come byte by byte, end within seconds', () =>
  withstood(async () => {
    const peers = await Promise.all(ids(6).map(() => open()));
    for (const peer of peers) await peer.sent(...ids(400).map((id) => headers(id, withKey())));
    const { message } = besieged;
    for (let at = 0; at < 12; at++) {
      for (const peer of peers.slice(0, 3))
        await peer.sent(...ids(400).map((id) => data(id, message.subarray(at, at + 1))));
      await after(500);
    }
    // Answered with BODY_TOO_SLOW, or to make room for others: nothing of them is kept.
    await expect.poll(async () => (await besieged.vitals()).inFlight, { timeout: 10_000 }).toBe(0);
    // (A call is done when its trailers are asked for, which is before they are here.)
    for (const peer of peers) await expect.poll(() => [answered(peer), ended(peer)]).toEqual([400, 400]);
    // The streams are closed by the service, as the peer does not end them.
    await Promise.all(
      peers.map((peer) => expect.poll(() => resets(peer, ERROR.none), { timeout: 10_000 }).toBe(400)),
    );
    for (const peer of peers) peer.end();
  }));

test('streams above the limit', () =>
  withstood(async () => {
    const peer = await open();
    const one = withKey(LIST_KEYS);
    let next = 1;
    await flood(peer, () => {
      const frames = ids(50, next).map((id) => headers(id, one));
      next += 100;
      return frames;
    });
    await Promise.race([peer.closed, after(2000)]);
    expect(peer.isOpen).toBe(false);
  }));

test('DATA on a stream that is closed', () =>
  withstood(async () => {
    const peer = await open();
    peer.send(headers(1, withKey()), data(1, besieged.message, END_STREAM));
    await peer.find(({ stream, flags }) => stream === 1 && (flags & END_STREAM) !== 0);
    const many = Array.from({ length: 100 }, () => data(1, Buffer.alloc(100)));
    await flood(peer, () => many);
    peer.end();
  }));

test('thousands of connections that say nothing, on either port', () =>
  withstood(async () => {
    const { grpc, http } = besieged.gatehouse;
    const sockets = [grpc, new URL(http).host].flatMap((address) => ids(1000).map(() => silent(address)));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    await after(500);
    for (const socket of sockets) socket.destroy();
  }));

function silent(address: string): Socket {
  const { hostname, port } = new URL(`http://${address}`);
  return connect(Number(port), hostname).on('error', () => {});
}
