/** The load generator that the figures come from, against servers that are known to be slow, wrong or out of order. */

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http2, { type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { buildGo } from './build-go.ts';
import { enveloped } from './keys.ts';
import type { LoadResult } from './load.ts';

const execute = promisify(execFile);
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** Starts a server. @returns its `host:port`. */
async function serve(answer: (stream: ServerHttp2Stream) => unknown): Promise<string> {
  const server: Http2Server = http2.createServer();
  server.on('stream', (stream) => {
    // Some are reset, and that is an error of the stream's.
    stream.on('error', () => {});
    answer(stream);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Answers with these bytes and this status. */
function finish(stream: ServerHttp2Stream, message: Uint8Array, status = '0'): void {
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status }));
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.end(enveloped(message));
}

/** @returns the last line that it prints. */
async function load(addr: string, messages: readonly string[], ...args: string[]): Promise<LoadResult> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-load-test-'));
  ends.push(() => rmSync(folder, { recursive: true }));
  const bodies = join(folder, 'bodies');
  writeFileSync(bodies, Buffer.concat(messages.map((message) => enveloped(Buffer.from(message)))));
  const { stdout } = await execute(await buildGo(), ['-addr', addr, '-bodies', bodies, ...args]);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}

const GOOD = Buffer.from('good');

describe.skipIf(process.env.GATEHOUSE_TEST_GO === '')('the load generator', () => {
  beforeAll(buildGo, 120_000);

  test('counts each call that ends with an error, a reset or another answer as failed', async () => {
    let calls = 0;
    const addr = await serve((stream) => {
      const kind = calls++ % 4;
      if (kind === 0) finish(stream, GOOD);
      else if (kind === 1) finish(stream, GOOD, '7');
      else if (kind === 2) finish(stream, Buffer.from('bad'));
      else stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    });
    const result = await load(addr, ['one'], '-n', '400', '-want', GOOD.toString('hex'));
    expect(result).toMatchObject({ answered: 100, failed: 300 });
  });

  test('draws from all the bodies of its file', async () => {
    const seen = new Set<string>();
    const addr = await serve((stream) => {
      stream.on('data', (chunk: Buffer) => seen.add(chunk.subarray(5).toString()));
      stream.on('end', () => finish(stream, GOOD));
    });
    await load(addr, ['one', 'two', 'three'], '-n', '300');
    expect([...seen].sort()).toEqual(['one', 'three', 'two']);
    seen.clear();
    // In order there is no chance in it.
    await load(addr, ['one', 'two', 'three'], '-n', '3', '-inorder', '-conns', '2');
    expect([...seen].sort()).toEqual(['one', 'three', 'two']);
  });

  test('makes as many calls at once as it is told, and no more', async () => {
    let [under, most] = [0, 0];
    const addr = await serve(async (stream) => {
      most = Math.max(most, ++under);
      await after(1);
      under--;
      finish(stream, GOOD);
    });
    const result = await load(addr, ['one'], '-n', '300', '-conns', '3', '-inflight', '5');
    expect({ most, answered: result.answered }).toEqual({ most: 15, answered: 300 });
  });

  test('counts the time of a call at a fixed rate from when it was due, not from when it could be sent', async () => {
    let free: Promise<unknown> | undefined;
    const addr = await serve(async (stream) => {
      free ??= after(300);
      await free;
      finish(stream, GOOD);
    });
    // One place: while the first is not answered, nothing more can be sent.
    const args = ['-rate', '200', '-duration', '400ms', '-conns', '1', '-inflight', '1'];
    const result = await load(addr, ['one'], ...args);
    expect(result).toMatchObject({ answered: 80, failed: 0 });
    // Three of four calls were due within the 300 ms.
    expect(result.latencyMs.p50).toBeGreaterThan(50);
    expect(result.late).toBeGreaterThan(50);
  });

  test('finds the answers of a stream by their ids, whatever their order', async () => {
    let ids = new Set<string>();
    const addr = await serve((stream) => {
      let held: Buffer[] = [];
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      let rest = Buffer.alloc(0);
      stream.on('data', (chunk: Buffer) => {
        for (rest = Buffer.concat([rest, chunk]); rest.length >= MESSAGE; rest = rest.subarray(MESSAGE)) {
          held.push(rest.subarray(0, MESSAGE));
        }
        ids = new Set([...ids, ...held.map((message) => message.subarray(7, 15).toString())]);
        for (const message of held.reverse()) stream.write(message);
        held = [];
      });
      stream.on('end', () => stream.end());
    });
    // A field 1 of 8 digits, and something behind it.
    const message = '\n\b00000000rest';
    const MESSAGE = 5 + message.length;
    const args = ['-mode', 'stream', '-n', '2000', '-conns', '2', '-inflight', '32'];
    const result = await load(addr, [message], ...args, '-want', Buffer.from('rest').toString('hex'));
    expect(result).toMatchObject({ answered: 2000, failed: 0 });
    expect(ids.size).toBe(32);
  });

  test('counts what is under way as failed where the connection is lost', async () => {
    const addr = await serve((stream) => stream.session?.destroy());
    const result = await load(addr, ['one'], '-n', '100', '-conns', '1', '-inflight', '7');
    expect(result).toMatchObject({ answered: 0, failed: 7 });
  });
});
