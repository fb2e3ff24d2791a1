/**
 * The short way of VerifyStream gives what the long way gives: the same questions, plain, odd and hostile, go down both, cut
 * up anyhow, and answers, ends, log lines, metrics and uses are compared.
 */

import { once } from 'node:events';
import http2, { type ClientHttp2Session } from 'node:http2';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  VerifyStreamRequestSchema,
  VerifyStreamResponseSchema,
} from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { QuestionStream } from '../../src/rpc/lane/question-stream.ts';
import { enveloped, exchange } from './lane-client.ts';
import { type LaneRig, startLaneRig, VERIFY } from './lane-rig.ts';

type Question = MessageInitShape<typeof VerifyStreamRequestSchema>;

let rig: LaneRig;
let short: ClientHttp2Session;
let long: ClientHttp2Session;

beforeAll(async () => {
  rig = await startLaneRig();
  short = http2.connect(`http://127.0.0.1:${rig.short.port}`);
  long = http2.connect(`http://127.0.0.1:${rig.long.port}`);
});
afterAll(async () => {
  short.destroy();
  long.destroy();
  await rig.stop();
});

interface Asked {
  readonly headers: Readonly<Record<string, string>>;
  /** What is sent, in the pieces in which it is sent. */
  readonly pieces: readonly Buffer[];
}

async function ask(session: ClientHttp2Session, asked: Asked) {
  const sent = { path: `${VERIFY}Stream`, ...asked };
  const { head, trailers, failed, body } = await exchange(session, sent, setImmediate);
  // Where no answer came before the end, the one way tells it with the head and the other after it.
  const status = trailers['grpc-status'] ?? head['grpc-status'];
  const said = trailers['grpc-message'] ?? head['grpc-message'];
  return { status, said, type: head['content-type'], failed, answers: answersIn(body) };
}

/** The answers, sorted: which of them is there first is not said. */
function answersIn(bytes: Buffer): string[] {
  const answers: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    answers.push(bytes.toString('base64', at, end));
    at = end;
  }
  return answers.sort();
}

const idOf = (answer = '') =>
  fromBinary(VerifyStreamResponseSchema, Buffer.from(answer, 'base64').subarray(5)).id;

const questionBytes = (question: Question) =>
  toBinary(VerifyStreamRequestSchema, create(VerifyStreamRequestSchema, question));

let asked = 0;

/** Mostly plain; each under an id of its own. */
function questions(): fc.Arbitrary<Uint8Array> {
  const token = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...Object.values(rig.tokens)) },
    { weight: 1, arbitrary: fc.string({ maxLength: 60 }) },
    { weight: 1, arbitrary: fc.constantFrom('', 'ä', 'x'.repeat(300), 'gate_nothing') },
  );
  const more = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.constantFrom<object>(
        {},
        { permissions: ['docs:read'] },
        { permissions: ['no'] },
        { keyspaces: ['shop'] },
        { project: 'p1' },
        { context: { clientIp: '192.0.2.7' } },
      ),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom<object>(
        { owner: { kind: 'user', id: 'u1' } },
        { explain: true },
        { cost: 1 },
        { keyspaces: ['BAD'] },
        { consistency: 2 },
        { context: { method: 'GET' } },
      ),
    },
  );
  const id = fc.oneof(
    { weight: 12, arbitrary: fc.constant('q') },
    { weight: 1, arbitrary: fc.constantFrom('', 'ü', 'a\u0001', 'x'.repeat(64), 'x'.repeat(65)) },
  );
  return fc
    .tuple(id, token, more)
    .map(([name, one, rest]) =>
      questionBytes({ id: name === 'q' ? `q${asked++}` : name, request: { token: one, ...rest } as never }),
    );
}

/** Cuts bytes up as a network may. */
const cut = (bytes: Buffer, sizes: readonly number[]): Buffer[] => {
  const pieces: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? bytes.length;
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
};

const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 41, max: 20_000 })), {
  minLength: 1,
  maxLength: 5,
});

const headersOf = (more: Record<string, string> = {}) => ({
  'content-type': 'application/grpc',
  authorization: `Bearer ${rig.tokens.root}`,
  ...more,
});

const leftBehind = async ({ lines, usage, metrics }: LaneRig['short']) => ({
  lines: lines
    .map(({ duration_ms: _, time: __, error_id: ___, request_id: ____, ...line }) => JSON.stringify(line))
    .sort(),
  usage,
  counts: (await metrics.text())
    .split('\n')
    .filter((line) => /^gatehouse_(rpc_requests_total|verify_total|rpc_duration_seconds_count)/.test(line))
    .sort(),
});

describe('the short way of a stream', () => {
  test('answers as the long way does, whatever comes, and leaves the same behind', async () => {
    const everything = Object.values(rig.tokens).map((token, index) =>
      enveloped(questionBytes({ id: `first-${index}`, request: { token } })),
    );
    // What is not in memory goes the long way: both have seen each key.
    for (const session of [short, long]) await ask(session, { headers: headersOf(), pieces: everything });
    const stream = fc.tuple(fc.array(questions(), { minLength: 1, maxLength: 40 }), sizes);
    const caller = fc.constantFrom<Record<string, string>>(
      {},
      {},
      {},
      { authorization: `Bearer ${rig.tokens.verifier}` },
      { authorization: `bearer ${rig.tokens.here}` },
      { authorization: `Bearer ${rig.tokens.elsewhere}` },
      { authorization: `Bearer ${rig.tokens.reader}` },
      { authorization: 'Bearer x' },
      { 'grpc-timeout': '20S' },
      { 'grpc-accept-encoding': 'identity' },
      { 'x-gatehouse-on-behalf-of': 'me' },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(stream, caller), { minLength: 5, maxLength: 5 }),
        async (several) => {
          const told = several.map(async ([[messages, cuts], more]) => {
            const pieces = cut(Buffer.concat(messages.map((one) => enveloped(one))), cuts);
            const question = { headers: headersOf(more), pieces };
            const [one, other] = await Promise.all([ask(short, question), ask(long, question)]);
            expect(one).toEqual(other);
          });
          await Promise.all(told);
        },
      ),
      { numRuns: 60, endOnFailure: true },
    );
    expect(await leftBehind(rig.short)).toEqual(await leftBehind(rig.long));
  }, 120_000);

  test('ends as the long way does at an envelope that is broken, after what came before it was answered', async () => {
    const good = (id: string) => enveloped(questionBytes({ id, request: { token: rig.tokens.plain ?? '' } }));
    const broken = {
      'that does not decode': enveloped(Buffer.from([0xff, 0xff])),
      'marked as compressed': enveloped(Buffer.from('x'), 1),
      'of an unknown kind': enveloped(Buffer.from('x'), 0x40),
      'too large': enveloped(Buffer.alloc(0), 0, 70_000),
      'that is not whole': good('cut').subarray(0, 20),
    };
    for (const [what, bytes] of Object.entries(broken)) {
      const pieces = [good('before'), bytes, good('after')];
      if (what === 'that is not whole') pieces.pop();
      const [one, other] = await Promise.all(
        [short, long].map((session) => ask(session, { headers: headersOf(), pieces })),
      );
      expect({ what, ...one, answers: 0 }).toEqual({ what, ...other, answers: 0 });
      expect(one?.answers.map(idOf)).toContain('before');
    }
  });

  test('writes nothing behind the end of one, however long that waits for its reader', async () => {
    // A window that holds no answer: the end waits behind those that were given before it.
    const slow = http2.connect(`http://127.0.0.1:${rig.short.port}`, { settings: { initialWindowSize: 10 } });
    const good = (id: string) => enveloped(questionBytes({ id, request: { token: rig.tokens.plain ?? '' } }));
    await once(slow, 'connect');
    // Each is answered after what was sent before it was read.
    const turns = async () => {
      for (let turn = 0; turn < 10; turn++) await promisify(slow.ping).call(slow);
    };
    try {
      const stream = slow.request({ ':method': 'POST', ':path': `${VERIFY}Stream`, ...headersOf() });
      const trailers = new Promise<object>((resolve, reject) => {
        stream.on('trailers', resolve);
        stream.on('error', reject);
      });
      for (const piece of [good('before'), enveloped(Buffer.from([0xff, 0xff])), good('after')]) {
        stream.write(piece);
        await turns();
      }
      stream.resume();
      stream.end();
      expect(await trailers).toMatchObject({ 'grpc-status': '3' });
    } finally {
      slow.destroy();
    }
  });

  test('ends one without any question, however soon its end comes', async () => {
    const asked = Array.from({ length: 20 }, () => ask(short, { headers: headersOf(), pieces: [] }));
    for (const { status, answers } of await Promise.all(asked)) expect([status, answers]).toEqual(['0', []]);
  });

  test('is the one that plain questions take', async () => {
    const { step } = QuestionStream.prototype;
    let count = 0;
    QuestionStream.prototype.step = function (more) {
      const taken = step.call(this, more);
      count += taken.count;
      return taken;
    };
    const pieces = Array.from({ length: 500 }, (_, index) =>
      enveloped(questionBytes({ id: `p${index}`, request: { token: rig.tokens.plain ?? '' } })),
    );
    try {
      const { answers, status } = await ask(short, { headers: headersOf(), pieces: [Buffer.concat(pieces)] });
      expect([answers.length, status, count]).toEqual([500, '0', 500]);
      const { answers: others } = await ask(long, { headers: headersOf(), pieces: [Buffer.concat(pieces)] });
      expect(others).toEqual(answers);
      expect(count).toBe(500);
    } finally {
      QuestionStream.prototype.step = step;
    }
  });
});
