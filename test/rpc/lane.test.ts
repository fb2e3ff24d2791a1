/**
 * The short way of Verify gives what the long way gives: the same calls, plain, odd and hostile, go down both, and answers,
 * log lines, metrics and uses are compared.
 */

import http2, { type ClientHttp2Session } from 'node:http2';
import { setTimeout } from 'node:timers/promises';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  Consistency,
  VerifyBatchResponseSchema,
  VerifyRequestSchema,
  VerifyResponseSchema,
  VerifyStatus,
} from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { questionOf } from '../../src/rpc/handlers/verify.ts';
import { plainQuestion } from '../../src/rpc/lane/question.ts';
import { assertValid } from '../../src/rpc/validation.ts';
import { enveloped, exchange } from './lane-client.ts';
import { type LaneRig, startLaneRig, VERIFY } from './lane-rig.ts';

interface WireCall {
  readonly path?: string;
  /** Names and values in turn. */
  readonly headers: Readonly<Record<string, string | string[]>>;
  /** Each is sent by itself. */
  readonly frames: readonly Buffer[];
}

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

async function send(session: ClientHttp2Session, { path = VERIFY, headers, frames: pieces }: WireCall) {
  const came = await exchange(session, { path, headers, pieces }, () => setTimeout(1));
  return { ...came, body: came.body.toString('base64') };
}

const asciiText = fc.string({ maxLength: 70 });
const oddText = fc.oneof(
  asciiText,
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constant('x'.repeat(300)),
);

/** Messages that mean something, with now and then a field that is too much. */
const request = (token: fc.Arbitrary<string>) =>
  fc
    .record(
      {
        token,
        keyspaces: fc.array(fc.constantFrom('default', 'shop', 'slow', 'gatehouse', 'nowhere', 'BAD', ''), {
          maxLength: 3,
        }),
        permissions: fc.array(fc.constantFrom('docs:read', 'a:b', 'other', '*', '', 'ä', 'x'.repeat(129)), {
          maxLength: 3,
        }),
        project: fc.constantFrom('p1', 'p2', '', 'a\u0001', 'ü'),
        owner: fc.constantFrom({ kind: 'user', id: 'u1' }, { kind: 'user', id: 'u2' }, { kind: '', id: '' }),
        context: fc.record(
          {
            clientIp: fc.constantFrom('192.0.2.7', '::1', '', 'x', 'y'.repeat(65)),
            method: fc.constantFrom('GET', ''),
          },
          { requiredKeys: [] },
        ),
        consistency: fc.constantFrom(Consistency.UNSPECIFIED, Consistency.CACHED, Consistency.STRONG, 9),
        explain: fc.constant(true),
        cost: fc.constant(0),
        chargeId: fc.constant('c'),
      },
      { requiredKeys: ['token'] },
    )
    .map((init) => toBinary(VerifyRequestSchema, create(VerifyRequestSchema, init as never)));

/** Mostly plain: one field or none beside the token, so that the short way is taken. */
const plain = (token: fc.Arbitrary<string>) =>
  fc
    .tuple(
      token,
      fc.constantFrom(
        {},
        { permissions: ['docs:read'] },
        { permissions: ['docs:read', 'no'] },
        { keyspaces: ['shop'] },
        { project: 'p1' },
        { project: 'p2' },
        { context: { clientIp: '192.0.2.7' } },
      ),
    )
    .map(([one, more]) =>
      toBinary(VerifyRequestSchema, create(VerifyRequestSchema, { token: one, ...more } as never)),
    );

const mutated = (bytes: fc.Arbitrary<Uint8Array>) =>
  fc.tuple(bytes, fc.nat(), fc.nat(255), fc.nat(3)).map(([message, at, byte, how]) => {
    const copy = Uint8Array.from(message);
    if (how === 0) return copy.subarray(0, at % (copy.length + 1));
    if (how === 1) return Uint8Array.from([...copy, byte, byte]);
    if (copy.length > 0) copy[at % copy.length] = byte;
    return copy;
  });

/** A VerifyBatchRequest of requests in bytes. */
function batchOf(requests: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    requests.map((one) => new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(one).finish()),
  );
}

function calls(): fc.Arbitrary<WireCall> {
  const known = fc.constantFrom(...Object.values(rig.tokens));
  const token = fc.oneof(
    { weight: 6, arbitrary: known },
    { weight: 1, arbitrary: known.map((one) => `  Bearer ${one} `) },
    { weight: 1, arbitrary: known.map((one) => `${one.slice(0, -1)}!`) },
    { weight: 1, arbitrary: oddText },
  );
  const message = fc.oneof(
    { weight: 10, arbitrary: plain(token) },
    { weight: 3, arbitrary: request(token) },
    { weight: 2, arbitrary: mutated(plain(token)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }) },
  );
  const batch = fc.array(message, { minLength: 1, maxLength: 4 }).map(batchOf);
  const odd = fc.oneof({ weight: 3, arbitrary: batch }, { weight: 1, arbitrary: mutated(batch) }, message);
  const framesOf = (message: fc.Arbitrary<Uint8Array>) =>
    fc.oneof(
      { weight: 25, arbitrary: message.map((one) => [enveloped(one)]) },
      {
        weight: 1,
        arbitrary: message.map((one) => [enveloped(one).subarray(0, 3), enveloped(one).subarray(3)]),
      },
      { weight: 1, arbitrary: message.map((one) => [enveloped(one, 1)]) },
      { weight: 1, arbitrary: message.map((one) => [enveloped(one), enveloped(one)]) },
      { weight: 1, arbitrary: message.map((one) => [enveloped(one, 0, one.length + 1)]) },
      { weight: 1, arbitrary: message.map((one) => [enveloped(one, 0, 70_000)]) },
      { weight: 1, arbitrary: fc.constant([]) },
    );
  const callers = Object.entries(rig.tokens).filter(([name]) =>
    ['root', 'verifier', 'reader', 'elsewhere', 'here', 'plain'].includes(name),
  );
  const credential = fc.oneof(
    { weight: 16, arbitrary: fc.constant({ authorization: `Bearer ${rig.tokens.root}` }) },
    {
      weight: 4,
      arbitrary: fc.constantFrom(...callers.map(([, one]) => ({ authorization: `bearer  ${one}` }))),
    },
    { weight: 2, arbitrary: fc.constantFrom(...callers.map(([, one]) => ({ 'x-api-key': one }))) },
    {
      weight: 2,
      arbitrary: fc.constantFrom<WireCall['headers']>(
        {},
        { authorization: '' },
        { authorization: 'Basic eDp5' },
        { authorization: 'Bearer ghm_unknown-0123456789-0123456789-0123' },
        { authorization: `Bearer ${rig.tokens.root}, Bearer x` },
        { authorization: `Bearer ${rig.tokens.root}`, 'x-api-key': rig.tokens.root ?? '' },
        { authorization: `Bearer ${rig.tokens.root}`, 'x-api-key': 'other' },
        { 'x-api-key': '' },
      ),
    },
  );
  const more = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.constantFrom<WireCall['headers']>(
        {},
        { 'user-agent': 'x', traceparent: '00-1-2-01' },
        { 'grpc-timeout': '5S' },
        { 'grpc-timeout': '20000m' },
      ),
    },
    {
      weight: 2,
      arbitrary: fc.constantFrom<WireCall['headers']>(
        { 'grpc-timeout': 'soon' },
        { 'grpc-timeout': '0S' },
        { 'grpc-encoding': 'gzip' },
        { 'grpc-encoding': 'br' },
        { 'grpc-encoding': 'identity' },
        { 'grpc-accept-encoding': 'identity,deflate,gzip' },
        { 'grpc-accept-encoding': ['gzip', 'identity'] },
        { 'grpc-timeout': ['5S', '5S'] },
        { 'grpc-encoding': ['identity', 'identity'] },
        { 'x-gatehouse-on-behalf-of': 'me' },
        { 'x-gatehouse-on-behalf-of': 'ü' },
        { 'x-request-id': 'bad id ' },
      ),
    },
  );
  const type = fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom('application/grpc', 'application/grpc+proto') },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        'application/grpc+json',
        'application/grpc; x=y',
        'application/proto',
        'text/plain',
        '',
      ),
    },
  );
  const sent = fc.oneof(
    { weight: 3, arbitrary: fc.record({ path: fc.constant(VERIFY), frames: framesOf(message) }) },
    { weight: 1, arbitrary: fc.record({ path: fc.constant(`${VERIFY}Batch`), frames: framesOf(odd) }) },
  );
  return fc.tuple(sent, credential, more, type).map(([body, one, other, contentType]) => ({
    ...body,
    headers: { 'content-type': contentType, ...one, ...other },
  }));
}

let sent = 0;

/** The same call down both, under an id of its own. */
async function both(call: WireCall) {
  const requestId = `call-${sent++}`;
  const named = { ...call, headers: { 'x-request-id': requestId, ...call.headers } };
  return Promise.all([send(short, named), send(long, named)]);
}

const countsOf = async (text: string) =>
  text
    .split('\n')
    .filter((line) => /^gatehouse_(rpc_requests_total|verify_total|rpc_duration_seconds_count)/.test(line))
    .sort();

describe('the short way', () => {
  test('answers as the long way does, whatever comes, and leaves the same behind', async () => {
    // What is not in memory goes the long way: both have seen each key.
    for (const token of Object.values(rig.tokens)) {
      const body = toBinary(VerifyRequestSchema, create(VerifyRequestSchema, { token }));
      for (const caller of Object.values(rig.tokens)) {
        await both({
          headers: { 'content-type': 'application/grpc', authorization: `Bearer ${caller}` },
          frames: [enveloped(body)],
        });
      }
    }
    const before = rig.short.answered;
    await fc.assert(
      fc.asyncProperty(fc.array(calls(), { minLength: 20, maxLength: 20 }), async (several) => {
        for (const [one, other] of await Promise.all(several.map(both))) {
          const id = (head: object) =>
            'x-request-id' in head
              ? { ...head, 'x-request-id': String(head['x-request-id']).replace(/^req_.*/, 'new') }
              : head;
          expect({ ...one, head: id(one.head) }).toEqual({ ...other, head: id(other.head) });
        }
      }),
      { numRuns: 200, endOnFailure: true },
    );
    expect(rig.short.answered - before).toBeGreaterThan(1000);
    expect(rig.long.answered).toBe(0);
    const lines = (side: LaneRig['short']) =>
      side.lines
        .map(({ duration_ms: _, time: __, error_id: ___, ...line }) =>
          JSON.stringify({ ...line, request_id: String(line.request_id).replace(/^req_.*/, 'new') }),
        )
        .sort();
    expect(lines(rig.short)).toEqual(lines(rig.long));
    expect(rig.short.usage).toEqual(rig.long.usage);
    expect(await countsOf(await rig.short.metrics.text())).toEqual(
      await countsOf(await rig.long.metrics.text()),
    );
  }, 120_000);

  test('hands on what has not come soon, and what never comes whole', async () => {
    const body = enveloped(
      toBinary(VerifyRequestSchema, create(VerifyRequestSchema, { token: rig.tokens.plain ?? '' })),
    );
    const headers = { 'content-type': 'application/grpc', authorization: `Bearer ${rig.tokens.root}` };
    const late = async (session: ClientHttp2Session) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': VERIFY,
        ...headers,
        'grpc-timeout': '300m',
      });
      stream.write(body.subarray(0, 2));
      const [head] = await new Promise<[http2.IncomingHttpHeaders]>((resolve) =>
        stream.on('response', (...values) => resolve(values as never)),
      );
      const trailers = new Promise((resolve) => stream.on('trailers', resolve));
      stream.resume();
      const status = head['grpc-status'] ?? ((await trailers) as Record<string, string>)['grpc-status'];
      stream.close();
      return status;
    };
    expect(await Promise.all([late(short), late(long)])).toEqual(['4', '4']);
    const [one, other] = await Promise.all(
      [short, long].map((session) => send(session, { headers, frames: [Buffer.alloc(0), body] })),
    );
    expect({ ...one, head: 0 }).toEqual({ ...other, head: 0 });
  });
});

test('a batch of plain questions takes the short way, in one message of several frames as well', async () => {
  const { plain: known = '', disabled = '', root } = rig.tokens;
  const requests = Array.from({ length: 100 }, (_, index) => ({
    token: [known, disabled, 'gate_nothing', ''][index % 4] as string,
    permissions: index % 8 < 4 ? ['docs:read'] : ['other'],
  }));
  const body = enveloped(
    batchOf(requests.map((one) => toBinary(VerifyRequestSchema, create(VerifyRequestSchema, one)))),
  );
  const headers = {
    'content-type': 'application/grpc',
    authorization: `Bearer ${root}`,
    'x-request-id': 'batch',
  };
  const before = rig.short.answered;
  const frames = [body.subarray(0, 3), body.subarray(3, 900), body.subarray(900)];
  const call = { path: `${VERIFY}Batch`, headers, frames };
  const [one, other] = await Promise.all([send(short, call), send(long, call)]);
  expect(one).toEqual(other);
  expect(rig.short.answered).toBe(before + 1);
  const { results } = fromBinary(VerifyBatchResponseSchema, Buffer.from(one.body, 'base64').subarray(5));
  expect(results.map(({ result }) => result.case)).toEqual(requests.map(() => 'response'));
});

test('a key that is not in memory is read by the short way, and one that does not exist as well', async () => {
  const fresh = await startLaneRig();
  const session = http2.connect(`http://127.0.0.1:${fresh.short.port}`);
  onTestFinished(() => {
    session.destroy();
    return fresh.stop();
  });
  const ask = async (token = '') => {
    const body = toBinary(VerifyRequestSchema, create(VerifyRequestSchema, { token }));
    const headers = {
      'content-type': 'application/grpc',
      authorization: `Bearer ${fresh.tokens.root}`,
    };
    const answer = await send(session, { headers, frames: [enveloped(body)] });
    return fromBinary(VerifyResponseSchema, Buffer.from(answer.body, 'base64').subarray(5)).status;
  };
  // The caller is not known yet either: that goes the long way.
  await ask('');
  const before = fresh.short.answered;
  expect(await ask(fresh.tokens.owned)).toBe(VerifyStatus.VALID);
  expect(await ask(fresh.tokens.disabled)).toBe(VerifyStatus.DISABLED);
  // Well formed, and of another store.
  expect(await ask(rig.tokens.plain)).toBe(VerifyStatus.NOT_FOUND);
  expect(fresh.short.answered - before).toBe(3);
  // That is more than a matter of records.
  expect(await ask(fresh.tokens.argon)).toBe(VerifyStatus.VALID);
  expect(fresh.short.answered - before).toBe(3);
});

test('a call that is cancelled before its message was there is counted and logged as on the long way', async () => {
  const cancelled = async (session: ClientHttp2Session, side: LaneRig['short'], id: string) => {
    const headers = {
      'content-type': 'application/grpc',
      authorization: `Bearer ${rig.tokens.root}`,
      'x-request-id': id,
    };
    const leaving = new AbortController();
    const { signal } = leaving;
    const stream = session.request({ ':method': 'POST', ':path': VERIFY, ...headers }, { signal });
    stream.on('error', () => undefined);
    await setTimeout(5);
    leaving.abort();
    await expect.poll(() => side.lines.find((line) => line.request_id === id)?.code).toBe('CANCELLED');
  };
  await cancelled(short, rig.short, 'cancelled-short');
  await cancelled(long, rig.long, 'cancelled-long');
  const count = async ({ metrics }: LaneRig['short']) =>
    (await countsOf(await metrics.text())).filter((line) => line.includes('CANCELLED'));
  expect(await count(rig.short)).toEqual(await count(rig.long));
});

describe('the plain form of a question', () => {
  test('is read as the general way reads it, or left to it', () => {
    const token = fc.oneof(asciiText, oddText);
    fc.assert(
      fc.property(
        fc.oneof(plain(token), request(token), mutated(request(token)), fc.uint8Array({ maxLength: 40 })),
        (bytes) => {
          const body = enveloped(bytes);
          const read = plainQuestion(body, 5, body.length);
          if (read !== undefined) expect(read).toEqual(generalQuestion(bytes));
        },
      ),
      { numRuns: 3000 },
    );
  });
});

/** @throws where the message does not decode or breaks a rule. */
function generalQuestion(bytes: Uint8Array) {
  const message = fromBinary(VerifyRequestSchema, bytes);
  assertValid(VerifyRequestSchema, message);
  return questionOf(message);
}
