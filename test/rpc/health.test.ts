import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGrpcClient } from '../../src/client/grpc.ts';
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from '../../src/gen/grpc/health/v1/health_pb.js';
import { openStream } from '../support/grpc-stream.ts';
import { CANARY, GOOD_KEY, type Rig, startRig } from './rig.ts';
import { call, envelope, send, told, WAYS, type WireAnswer } from './wire.ts';

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig.drain(1000));

/** Opens a Watch. */
const watch = (at: Rig, service: string) => openStream(at.grpcAddress, Health.method.watch, { service });
const statuses = ({ got }: ReturnType<typeof watch>) => got.map(({ status }) => status);

test('Check knows the whole, each service by name, and no other', async () => {
  const health = createGrpcClient(Health, rig.grpcAddress);
  for (const service of ['', 'gatehouse.v1.KeyService', 'grpc.health.v1.Health']) {
    expect((await health.check({ service })).status).toBe(Status.SERVING);
  }
  await expect(health.check({ service: 'nope' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(Object.keys((await health.list({})).statuses)).toContain('gatehouse.v1.AuthService');
  health.close();
});

test.each(WAYS)('Check answers in $protocol over $over', async (way) => {
  expect((await call(rig, way, '/grpc.health.v1.Health/Check', '{}')).message.toString()).toBe(
    '{"status":"SERVING"}',
  );
});

test('Watch says SERVICE_UNKNOWN for a name that is not known, and stays open', async () => {
  const unknown = watch(rig, 'nope');
  await unknown.until(1);
  expect(statuses(unknown)).toEqual([Status.SERVICE_UNKNOWN]);
  unknown.cancel();
});

test('a Watch whose client goes away ends, with one line in the log', async () => {
  const before = rig.lines.length;
  const one = watch(rig, '');
  await one.until(1);
  one.cancel();
  while (rig.lines.length === before) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(rig.lines.at(-1)).toMatchObject({ method: 'grpc.health.v1.Health/Watch', code: 'CANCELLED' });
});

test('a stop tells watchers NOT_SERVING and ends their streams', async () => {
  const stopping = await startRig();
  const one = watch(stopping, 'gatehouse.v1.KeyService');
  await one.until(1);
  await stopping.drain(5000);
  expect(statuses(one)).toEqual([Status.SERVING, Status.NOT_SERVING]);
  expect(await one.ended).toMatchObject({ code: 0 });
});

test('streams of anyone are bounded, apart from calls', async () => {
  const tight = await startRig({ limits: { calls: 1, streams: 1, publicStreams: 1 } });
  const first = watch(tight, '');
  await first.until(1);
  const second = watch(tight, '');
  expect(await second.ended).toMatchObject({ code: 8 });
  const { told } = await call(tight, { protocol: 'grpc', over: 'h2' }, '/grpc.health.v1.Health/Check', '{}');
  expect(told.code).toBe('ok');
  first.cancel();
  await tight.drain(1000);
});

describe.each(['connect', 'grpc', 'grpc-web'] as const)('a stream in %s', (protocol) => {
  const path = '/grpc.health.v1.Health/Watch';
  const type = protocol === 'connect' ? 'application/connect+json' : `application/${protocol}+json`;
  const post = (at: string, body: Buffer, headers: readonly string[] = []) =>
    send(rig, protocol === 'grpc' ? 'h2' : 'h1', {
      path: at,
      headers: ['content-type', type, ...headers],
      body,
    });
  const errorOf = (answer: WireAnswer) => {
    if (protocol !== 'connect') return told(protocol, answer);
    // The last envelope of Connect's streams holds the error.
    const { error } = JSON.parse(answer.body.subarray(5).toString());
    return told('connect', { ...answer, status: 0, body: Buffer.from(JSON.stringify(error)) });
  };

  test('whose message does not decode ends with INVALID_ARGUMENT and none of its words', async () => {
    const answer = await post(path, envelope(Buffer.from(`{"service": ${CANARY}`)));
    expect(errorOf(answer)).toMatchObject({ code: 'invalid_argument', reason: 'INVALID_BODY' });
    expect(answer.body.toString()).not.toContain(CANARY);
    const large = await post(path, envelope(Buffer.alloc(70_000, ' ')));
    expect(errorOf(large)).toMatchObject({ code: 'resource_exhausted', reason: 'MESSAGE_TOO_LARGE' });
    expect(rig.rawLog()).not.toContain(CANARY);
  });

  test('of a service that needs a caller is refused without one, before its body', async () => {
    const watchAll = '/gatehouse.v1.AuthService/WatchRevocations';
    expect(errorOf(await post(watchAll, Buffer.from('rubbish')))).toMatchObject({
      reason: 'CREDENTIALS_MISSING',
    });
    const broken = await post(watchAll, envelope(Buffer.from('{"keyspaces":["NO"]}')), [
      'x-api-key',
      GOOD_KEY,
    ]);
    expect(errorOf(broken).violations).toEqual([
      expect.stringMatching(/^keyspaces\[0\]: must be a keyspace id/),
    ]);
  });

  test('ends at its deadline', async () => {
    const [name, value] = protocol === 'connect' ? ['connect-timeout-ms', '100'] : ['grpc-timeout', '100m'];
    const answer = await post(path, envelope(Buffer.from('{}')), [name, value]);
    expect(answer.body.toString()).toContain('SERVING');
    if (protocol === 'connect') expect(answer.body.toString()).toContain('deadline_exceeded');
    else expect(told(protocol, answer).code).toBe('deadline_exceeded');
  });
});
