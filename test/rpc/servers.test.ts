import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createGrpcClient } from '../../src/client/grpc.ts';
import { KeyService } from '../../src/gen/gatehouse/v1/key_service_pb.js';
import { CannotListen } from '../../src/rpc/listen.ts';
import { startServers } from '../../src/rpc/servers.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { GOOD_KEY, type Rig, startRig } from './rig.ts';
import { call, send, WAYS } from './wire.ts';

const GET_KEY = '/gatehouse.v1.KeyService/GetKey';
const get = (rig: Rig, path: string) => send(rig, 'h1', { method: 'GET', path });
const seen = async (rig: Rig, count: number) => {
  while (rig.calls.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
};

describe('pages of the HTTP port', () => {
  test('/healthz says alive, /metrics the counts, anything else is 404 in JSON', async () => {
    const rig = await startRig();
    expect((await get(rig, '/healthz')).status).toBe(200);
    await call(rig, { protocol: 'connect', over: 'h1' }, GET_KEY, '{"id":"key_1"}', { token: GOOD_KEY });
    const metrics = await get(rig, '/metrics');
    expect(metrics.headers['content-type']).toMatch(/^text\/plain/);
    expect(metrics.body.toString()).toContain(
      'gatehouse_rpc_duration_seconds_count{service="gatehouse.v1.KeyService"',
    );
    const nothing = await get(rig, '/favicon.ico');
    expect(nothing.status).toBe(404);
    expect(JSON.parse(nothing.body.toString())).toMatchObject({ code: 'not_found' });
    expect((await send(rig, 'h1', { path: '/metrics' })).status).toBe(405);
    await rig.drain(1000);
  });

  test('/readyz says 503 and names what is not ready', async () => {
    let failing: readonly string[] = [];
    const rig = await startRig({ checkReady: async () => failing });
    expect((await get(rig, '/readyz')).status).toBe(200);
    failing = ['store'];
    const answer = await get(rig, '/readyz');
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.body.toString())).toEqual({ status: 'not ready', failing: ['store'] });
    await rig.drain(1000);
  });

  test('/readyz says 503 within two seconds where the check hangs, and 503 where it throws', async () => {
    const hangs = await startRig({ checkReady: () => new Promise(() => {}) });
    const answer = await get(hangs, '/readyz');
    expect([answer.status, JSON.parse(answer.body.toString()).failing]).toEqual([503, ['timeout']]);
    await hangs.drain(1000);
    const throws = await startRig({ checkReady: () => Promise.reject(new Error('no store')) });
    const thrown = await get(throws, '/readyz');
    expect(thrown.status).toBe(503);
    expect(thrown.body.toString()).not.toContain('no store');
    await throws.drain(1000);
  });
});

describe('a stop', () => {
  test('running calls finish, in every protocol, and new connections are refused', async () => {
    const rig = await startRig();
    const keys = createGrpcClient(KeyService, rig.grpcAddress, { token: GOOD_KEY });
    const running = [
      ...WAYS.map(
        async (way) => (await call(rig, way, GET_KEY, '{"id":"key_wait"}', { token: GOOD_KEY })).told.code,
      ),
      keys.getKey({ id: 'key_wait' }).then(({ key }) => key?.id),
    ];
    await seen(rig, WAYS.length + 1);
    const drained = rig.drain(10_000);
    for (const over of ['h1', 'h2'] as const) {
      await expect(send(rig, over, { path: GET_KEY })).rejects.toThrow(/ECONNREFUSED/);
    }
    rig.letGo();
    expect(await Promise.all(running)).toEqual([...WAYS.map(() => 'ok'), 'key_wait']);
    await drained;
    keys.close();
  });

  test('the readiness check says so, and connections that are open are asked to go', async () => {
    const rig = await startRig();
    const session = http2.connect(`http://${rig.grpcAddress}`);
    await new Promise((resolve) => session.once('connect', resolve));
    const goaway = new Promise((resolve) => session.once('goaway', resolve));
    const waiting = call(rig, { protocol: 'connect', over: 'h1' }, GET_KEY, '{"id":"key_wait"}', {
      token: GOOD_KEY,
    });
    await seen(rig, 1);
    const drained = rig.drain(10_000);
    await goaway;
    rig.letGo();
    expect((await waiting).answer.headers.connection).toBe('close');
    await drained;
    session.destroy();
  });

  test('what still runs after the time of grace is answered UNAVAILABLE and cut off', async () => {
    const rig = await startRig();
    const hanging = WAYS.map((way) => call(rig, way, GET_KEY, '{"id":"key_hang"}', { token: GOOD_KEY }));
    await seen(rig, WAYS.length);
    const began = performance.now();
    await rig.drain(100);
    expect(performance.now() - began).toBeLessThan(3000);
    for (const { told } of await Promise.all(hanging)) {
      expect(told).toMatchObject({ code: 'unavailable', reason: 'STOPPING', retrySeconds: 1 });
    }
  });

  test('a body that is still coming does not hold the stop up', async () => {
    const rig = await startRig();
    const socket = createConnection(rig.httpPort, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(`POST ${GET_KEY} HTTP/1.1\r\nhost: x\r\nx-api-key: ${GOOD_KEY}\r\n`);
    socket.write('content-type: application/json\r\ncontent-length: 100\r\n\r\n{"id":');
    while (rig.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const began = performance.now();
    await rig.drain(100);
    expect(performance.now() - began).toBeLessThan(3000);
  });
});

describe('opening the ports', () => {
  test('a port in use is named with its setting, and the other port is not left open', async () => {
    const taken = createServer();
    const port = await new Promise<number>((resolve) => {
      taken.listen(0, '127.0.0.1', () => {
        const address = taken.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
    const rig = await startRig();
    const options = {
      pipeline: rig.pipeline,
      host: '127.0.0.1',
      checkReady: async () => [],
      metrics: rig.metrics,
      log: createLog({ level: 'silent' }),
    };
    await expect(startServers({ ...options, grpcPort: 0, httpPort: port })).rejects.toThrow(
      new CannotListen(`GATEHOUSE_HTTP_PORT ${port} is in use on 127.0.0.1`),
    );
    await expect(startServers({ ...options, grpcPort: port, httpPort: 0 })).rejects.toThrow(
      `GATEHOUSE_GRPC_PORT ${port} is in use on 127.0.0.1`,
    );
    await expect(startServers({ ...options, host: '192.0.2.1', grpcPort: 0, httpPort: 0 })).rejects.toThrow(
      'GATEHOUSE_HOST 192.0.2.1 is not an address of this machine',
    );
    taken.close();
    await rig.drain(1000);
  });
});

/** A key, and a certificate of its own making. */
function selfSigned() {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-tls-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  execFileSync(
    'openssl',
    ['req', '-x509', ...curve, '-nodes', '-days', '1', '-keyout', key, '-out', cert, ...subject],
    {
      stdio: 'ignore',
    },
  );
  const tls = { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
  rmSync(folder, { recursive: true });
  return tls;
}

test('with TLS both ports speak it, and with a client authority they want a certificate', async () => {
  const tls = selfSigned();
  const rig = await startRig({ tls });
  const keys = createGrpcClient(KeyService, `https://${rig.grpcAddress}`, {
    token: GOOD_KEY,
    tls: { ca: tls.cert },
  });
  expect((await keys.getKey({ id: 'key_1' })).key?.id).toBe('key_1');
  expect(await statusOf(rig, { ca: tls.cert })).toBe(200);
  keys.close();
  await rig.drain(1000);

  const strict = await startRig({ tls: { ...tls, clientCa: tls.cert } });
  await expect(statusOf(strict, { ca: tls.cert })).rejects.toThrow();
  expect(await statusOf(strict, { ca: tls.cert, cert: tls.cert, key: tls.key })).toBe(200);
  await strict.drain(1000);
});

test("the image's HEALTHCHECK finds a server alive without TLS, with it, and with a client authority", async () => {
  const dockerfile = readFileSync(new URL('../../Dockerfile', import.meta.url), 'utf8');
  const [, command = '[]'] = /^HEALTHCHECK .*? CMD (.*)$/m.exec(dockerfile) ?? [];
  const [, ...args]: string[] = JSON.parse(command);
  const exitCode = (port: number, withTls: boolean) =>
    new Promise((resolve) => {
      const env = { GATEHOUSE_HTTP_PORT: String(port), GATEHOUSE_TLS_CERT: withTls ? 'cert.pem' : '' };
      execFile(process.execPath, args, { env }).once('exit', resolve);
    });
  const tls = selfSigned();
  for (const setting of [undefined, tls, { ...tls, clientCa: tls.cert }]) {
    const rig = await startRig({ tls: setting });
    expect(await exitCode(rig.httpPort, setting !== undefined)).toBe(0);
    await rig.drain(1000);
    expect(await exitCode(rig.httpPort, setting !== undefined)).toBe(1);
  }
});

function statusOf(rig: Rig, tls: https.RequestOptions): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const request = https.get(
      { ...tls, host: '127.0.0.1', port: rig.httpPort, path: '/healthz', agent: false },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      },
    );
    request.on('error', reject);
  });
}
