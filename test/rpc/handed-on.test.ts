/** A call that the short way hands on in the middle of its body: the long way gets all of it. */

import http2 from 'node:http2';
import { promisify } from 'node:util';
import { create, toBinary } from '@bufbuild/protobuf';
import { expect, onTestFinished, test } from 'vitest';
import { AuthService, VerifyBatchRequestSchema } from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { enveloped } from '../../src/rpc/lane/envelope.ts';
import { type LaneParts, VerifyLane } from '../../src/rpc/lane/verify-lane.ts';
import { createPipeline } from '../../src/rpc/pipeline.ts';
import { startServers } from '../../src/rpc/servers.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { unrefTimer, VerifyLog } from '../../src/telemetry/verify-log.ts';
import { someCaller } from './rig.ts';

test('what comes of a large batch while its caller is looked up is not lost', async () => {
  const log = createLog({ level: 'info', destination: { write: () => undefined } });
  const metrics = new Metrics({ processMetrics: false });
  const asked = Promise.withResolvers<void>();
  const known = Promise.withResolvers<void>();
  let count = 0;
  const pipeline = createPipeline({
    routes: (router) => {
      router.service(AuthService, {
        verifyBatch({ requests }) {
          count = requests.length;
          return {};
        },
      });
    },
    async authenticate() {
      asked.resolve();
      await known.promise;
      return someCaller();
    },
    verifyAccess: 'key',
    log,
    verifyLog: new VerifyLog({ log, mode: 'none', now: () => performance.now(), later: unrefTimer }),
    metrics,
  });
  const servers = await startServers({
    pipeline,
    // It never comes to an answer: the batch is too large.
    lane: new VerifyLane({ metrics } as LaneParts),
    host: '127.0.0.1',
    grpcPort: 0,
    httpPort: 0,
    checkReady: async () => [],
    metrics,
    log,
  });
  const session = http2.connect(`http://127.0.0.1:${servers.grpcPort}`);
  onTestFinished(() => {
    session.destroy();
    return servers.drain(0);
  });
  const requests = Array.from({ length: 90 }, () => ({ token: 'a'.repeat(1000) }));
  const body = enveloped(toBinary(VerifyBatchRequestSchema, create(VerifyBatchRequestSchema, { requests })));
  expect(body.length).toBeGreaterThan(65_536);

  const stream = session.request({
    ':method': 'POST',
    ':path': '/gatehouse.v1.AuthService/VerifyBatch',
    'content-type': 'application/grpc',
    authorization: 'Bearer x',
  });
  const trailers = new Promise((resolve) => stream.on('trailers', resolve));
  stream.resume();
  stream.write(body.subarray(0, 10_000));
  await asked.promise;
  stream.write(body.subarray(10_000, 30_000));
  // Its answer tells that what was sent before it is there.
  await promisify(session.ping).call(session);
  known.resolve();
  stream.end(body.subarray(30_000));
  expect(await trailers).toMatchObject({ 'grpc-status': '0' });
  expect(count).toBe(90);
});
