/** Starting and stopping: what is printed, what is refused, what is kept. */

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const openssl = spawnSync('openssl', ['version']).status === 0;
const started: Gatehouse[] = [];

afterEach(async () => {
  for (const one of started.splice(0)) await one.remove();
});

async function start(...args: Parameters<typeof startGatehouse>): Promise<Gatehouse> {
  const gatehouse = await startGatehouse(...args);
  started.push(gatehouse);
  return gatehouse;
}

/** A start that is expected to fail. */
function failingStart(env: Record<string, string>): { code: number | null; lines: string[]; stdout: string } {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-test-'));
  const result = spawnSync(process.execPath, [MAIN], {
    cwd: folder,
    env: { PATH: process.env.PATH, GATEHOUSE_GRPC_PORT: '0', GATEHOUSE_HTTP_PORT: '0', ...env },
    encoding: 'utf8',
    timeout: 20_000,
  });
  rmSync(folder, { recursive: true });
  return { code: result.status, lines: result.stderr.trim().split('\n'), stdout: result.stdout };
}

/** Writes a certificate and its key as PEM files. */
function makeCertificate(cert: string, key: string): void {
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-x509'];
  const made = spawnSync('openssl', [
    ...['req', ...kind, '-keyout', key, '-out', cert],
    ...['-days', '2', '-subj', '/CN=localhost'],
  ]);
  if (made.status !== 0) throw new Error(made.stderr.toString());
}

/** Holds a port while `use` runs. */
async function withPortInUse(use: (port: string) => Promise<void>): Promise<void> {
  const blocker = createServer().listen(0, '127.0.0.1');
  await once(blocker, 'listening');
  try {
    await use(String((blocker.address() as AddressInfo).port));
  } finally {
    blocker.close();
  }
}

describe('the first start', () => {
  test('prints a generated root key once, with curl lines that work when pasted', async () => {
    const first = await start({ env: { GATEHOUSE_ROOT_KEY: '' } });
    const { stderr, stdout } = first.output();
    const [rootKey] = /ghm_[A-Za-z0-9]{43}/.exec(stderr) ?? [];
    expect(rootKey).toBeDefined();
    expect(stdout).not.toContain(rootKey);
    const pasted = stderr
      .split('\n')
      .filter((line) => /^\s*(export |KEY=|curl )/.test(line))
      .join('\n');
    const shell = spawnSync('sh', ['-c', pasted], { encoding: 'utf8' });
    expect(shell.stdout).toContain('"VERIFY_STATUS_VALID"');

    await first.stop();
    const second = await start({ env: { GATEHOUSE_ROOT_KEY: '' }, folder: first.folder });
    expect(second.output().stderr).not.toMatch(/ghm_[A-Za-z0-9]{43}/);
    expect(second.output().stderr).toContain('1 root key');
    expect((await callJson(second, 'KeyService/ListKeys', {}, { key: rootKey })).status).toBe(200);
  });

  test('that fails because a port is in use prints no root key and loses none: the next one prints it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-test-'));
    await withPortInUse(async (port) => {
      for (const setting of ['GATEHOUSE_GRPC_PORT', 'GATEHOUSE_HTTP_PORT']) {
        const failed = failingStart({ GATEHOUSE_DATA: join(folder, 'gatehouse.db'), [setting]: port });
        expect(failed.code).toBe(1);
        expect(failed.lines).toHaveLength(1);
        expect(failed.lines.join() + failed.stdout).not.toContain('ghm_');
      }
    });
    const next = await start({ env: { GATEHOUSE_ROOT_KEY: '' }, folder });
    const [rootKey] = /ghm_[A-Za-z0-9]{43}/.exec(next.output().stderr) ?? [];
    expect(next.output().stderr).toContain('1 root key');
    expect((await callJson(next, 'KeyService/ListKeys', {}, { key: rootKey })).status).toBe(200);
  });

  test('makes the data file readable by its owner only', async () => {
    const gatehouse = await start();
    expect(statSync(join(gatehouse.folder, 'gatehouse.db')).mode & 0o777).toBe(0o600);
  });
});

describe('the root key of the settings', () => {
  const other = `ghm_${'o'.repeat(40)}`;

  test('adds a root where it is new, and never revives a revoked one', async () => {
    const first = await start();
    await first.stop();
    const second = await start({ env: { GATEHOUSE_ROOT_KEY: other }, folder: first.folder });
    expect(second.output().stderr).toContain('2 root keys');
    const { body } = await callJson(second, 'KeyService/ListKeys', { keyspace: 'gatehouse' }, { key: other });
    const [newest] = body.keys;
    expect(
      (await callJson(second, 'KeyService/RevokeKey', { id: newest.id }, { key: first.rootKey })).status,
    ).toBe(200);
    await second.stop();

    const third = await start({ env: { GATEHOUSE_ROOT_KEY: other }, folder: first.folder });
    expect((await callJson(third, 'KeyService/ListKeys', {}, { key: other })).status).toBe(401);
    expect(third.output().stderr).toContain('1 root key');
    expect(third.output().stderr).toMatch(/GATEHOUSE_ROOT_KEY.*revoked/);
  });

  test('lets a locked-out operator back in: with every root revoked, a new one works', async () => {
    const first = await start();
    const { body } = await callJson(
      first,
      'KeyService/ListKeys',
      { keyspace: 'gatehouse' },
      { key: first.rootKey },
    );
    await callJson(first, 'KeyService/RevokeKey', { id: body.keys[0].id }, { key: first.rootKey });
    expect((await callJson(first, 'KeyService/ListKeys', {}, { key: first.rootKey })).status).toBe(401);
    await first.stop();
    const second = await start({ env: { GATEHOUSE_ROOT_KEY: other }, folder: first.folder });
    expect((await callJson(second, 'KeyService/ListKeys', {}, { key: other })).status).toBe(200);
  });
});

describe('what others put into the environment', () => {
  test('a Kubernetes service named gatehouse does not stop the start', async () => {
    const gatehouse = await start({
      env: {
        GATEHOUSE_SERVICE_HOST: '10.0.0.1',
        GATEHOUSE_SERVICE_PORT: '8080',
        GATEHOUSE_SERVICE_PORT_HTTP: '8080',
        GATEHOUSE_SERVICE_PORT_GRPC: '50051',
        GATEHOUSE_PORT: 'tcp://10.0.0.1:8080',
        GATEHOUSE_PORT_8080_TCP: 'tcp://10.0.0.1:8080',
        GATEHOUSE_PORT_8080_TCP_PROTO: 'tcp',
        GATEHOUSE_PORT_8080_TCP_PORT: '8080',
        GATEHOUSE_PORT_8080_TCP_ADDR: '10.0.0.1',
      },
    });
    expect(gatehouse.http).toContain('127.0.0.1');
    expect((await callJson(gatehouse, 'KeyService/ListKeys', {}, { key: gatehouse.rootKey })).status).toBe(
      200,
    );
  });

  test('an unknown setting with an empty value is unset, and does not stop the start', async () => {
    const gatehouse = await start({ env: { GATEHOUSE_NO_SUCH_SETTING: '', GATEHOUSE_PORT: '' } });
    expect((await fetch(`${gatehouse.http}/readyz`)).status).toBe(200);
  });
});

describe('a start that cannot be', () => {
  test.each([
    ['a port that is none', { GATEHOUSE_HTTP_PORT: '80a' }, 'GATEHOUSE_HTTP_PORT'],
    ['a port beyond 65535', { GATEHOUSE_GRPC_PORT: '65536' }, 'GATEHOUSE_GRPC_PORT'],
    ['a root key of the wrong form', { GATEHOUSE_ROOT_KEY: 'hunter2-hunter2' }, 'GATEHOUSE_ROOT_KEY'],
    ['a pepper that is too short', { GATEHOUSE_PEPPERS: 'p1:c2hvcnQ=' }, 'GATEHOUSE_PEPPERS'],
    ['a log level that is none', { GATEHOUSE_LOG_LEVEL: 'loud' }, 'GATEHOUSE_LOG_LEVEL'],
    ['a misspelt setting', { GATEHOUSE_HTPP_PORT: '1' }, 'GATEHOUSE_HTPP_PORT'],
    ['a port that names no listener', { GATEHOUSE_PORT: '8080' }, 'GATEHOUSE_PORT'],
    ['a database of another kind', { MONGODB_URI: 'postgres://user:hunter2@localhost' }, 'MONGODB_URI'],
    ['a cache that this version does not have', { REDIS_URL: 'redis://:hunter2@localhost' }, 'REDIS_URL'],
    ['more workers than one', { GATEHOUSE_WORKERS: '2' }, 'GATEHOUSE_WORKERS'],
    [
      'a secret file that is not there',
      { GATEHOUSE_ROOT_KEY_FILE: '/nowhere/root' },
      'GATEHOUSE_ROOT_KEY_FILE',
    ],
    [
      'a secret given twice',
      { GATEHOUSE_ROOT_KEY: `ghm_${'a'.repeat(40)}`, GATEHOUSE_ROOT_KEY_FILE: '/dev/null' },
      'GATEHOUSE_ROOT_KEY',
    ],
    ['a certificate without its key', { GATEHOUSE_TLS_CERT: '/dev/null' }, 'GATEHOUSE_TLS_KEY'],
    ['a data folder below a file', { GATEHOUSE_DATA: '/dev/null/gatehouse.db' }, '/dev/null/gatehouse.db'],
  ] as [string, Record<string, string>, string][])(
    'says so in one line and exits with 1: %s',
    (_what, env, names) => {
      const { code, lines } = failingStart(env);
      expect(code).toBe(1);
      expect(lines).toHaveLength(1);
      expect(lines[0]).toContain(names);
      expect(lines[0]).not.toContain('hunter2');
    },
  );

  test('a file that is no data file: one line, exit 1, and the file is left as it was', () => {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-test-'));
    const file = join(folder, 'notes.txt');
    writeFileSync(file, 'not a database '.repeat(1000));
    const { code, lines } = failingStart({ GATEHOUSE_DATA: file });
    expect(code).toBe(1);
    expect(lines).toHaveLength(1);
    expect(statSync(file).size).toBe(15_000);
    rmSync(folder, { recursive: true });
  });

  describe.skipIf(!openssl)('TLS', () => {
    let folder: string;
    let good: Record<string, string>;
    const path = (name: string) => join(folder, name);

    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'gatehouse-test-'));
      makeCertificate(path('cert.pem'), path('key.pem'));
      good = { GATEHOUSE_TLS_CERT: path('cert.pem'), GATEHOUSE_TLS_KEY: path('key.pem') };
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    test.each([
      ['GATEHOUSE_TLS_CERT', 'CERTIFICATE'],
      ['GATEHOUSE_TLS_KEY', 'PRIVATE KEY'],
      ['GATEHOUSE_TLS_CLIENT_CA', 'CERTIFICATE'],
    ])('a PEM file that does not parse: one line that names %s', (setting, kind) => {
      const broken = `-----BEGIN ${kind}-----\naHVudGVyMg==\n-----END ${kind}-----\n`;
      for (const text of ['', 'hunter2', broken]) {
        writeFileSync(path('bad.pem'), text);
        const { code, lines } = failingStart({ ...good, [setting]: path('bad.pem') });
        expect([code, lines.length], text).toEqual([1, 1]);
        expect(lines[0]).toContain(setting);
        expect(lines[0]).not.toMatch(/hunter2|aHVudGVyMg|error:/);
      }
    });

    test('a key of another certificate: one line that names GATEHOUSE_TLS_KEY', () => {
      makeCertificate(path('other.pem'), path('other-key.pem'));
      const { code, lines } = failingStart({ ...good, GATEHOUSE_TLS_KEY: path('other-key.pem') });
      expect([code, lines.length]).toEqual([1, 1]);
      expect(lines[0]).toContain('GATEHOUSE_TLS_KEY');
    });
  });

  test('a port in use: one line that names the setting and the port', async () => {
    await withPortInUse(async (port) => {
      for (const setting of ['GATEHOUSE_GRPC_PORT', 'GATEHOUSE_HTTP_PORT']) {
        const { code, lines } = failingStart({ [setting]: port });
        expect(code).toBe(1);
        expect(lines).toHaveLength(1);
        expect(lines[0]).toContain(setting);
        expect(lines[0]).toContain(port);
      }
    });
  });

  test('a second process on the same data file says so and stops; the first goes on', async () => {
    const first = await start();
    const { code, lines } = failingStart({ GATEHOUSE_DATA: join(first.folder, 'gatehouse.db') });
    expect(code).toBe(1);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('in use by another Gatehouse process');
    expect((await callJson(first, 'KeyService/ListKeys', {}, { key: first.rootKey })).status).toBe(200);
  });

  test('without the pepper that live keys were hashed under', async () => {
    const pepper = (id: string, byte: number) => `${id}:${Buffer.alloc(32, byte).toString('base64')}`;
    const first = await start({ env: { GATEHOUSE_PEPPERS: pepper('old', 1) } });
    const keyspace = {
      id: 'hmac',
      prefix: 'hmac_',
      alphabet: 'ALPHABET_BASE62',
      secretLength: 32,
      hash: 'HASH_ALGORITHM_HMAC_SHA256',
    };
    await callJson(first, 'KeyspaceService/CreateKeyspace', { keyspace }, { key: first.rootKey });
    const made = await callJson(
      first,
      'KeyService/CreateKey',
      { keyspace: 'hmac', name: 'x' },
      { key: first.rootKey },
    );
    await first.stop();

    const data = join(first.folder, 'gatehouse.db');
    for (const peppers of ['', pepper('new', 2)]) {
      const { code, lines } = failingStart({
        GATEHOUSE_DATA: data,
        GATEHOUSE_PEPPERS: peppers,
        GATEHOUSE_ROOT_KEY: first.rootKey,
      });
      expect([code, lines.length]).toEqual([1, 1]);
      expect(lines[0]).toMatch(/GATEHOUSE_PEPPERS.*old/);
    }
    // With the old pepper behind a new one, old keys verify and new ones are made under the new one.
    const env = { GATEHOUSE_PEPPERS: `${pepper('new', 2)},${pepper('old', 1)}` };
    const second = await start({ env, folder: first.folder });
    const again = await callJson(
      second,
      'KeyService/CreateKey',
      { keyspace: 'hmac', name: 'y' },
      { key: first.rootKey },
    );
    for (const { secret } of [made.body, again.body]) {
      const { body } = await callJson(
        second,
        'AuthService/Verify',
        { token: secret },
        { key: first.rootKey },
      );
      expect(body.valid).toBe(true);
    }
  });
});

describe('stopping', () => {
  test('with SIGTERM ends with 0, and what was counted is kept exactly', async () => {
    const first = await start();
    const made = await callJson(
      first,
      'KeyService/CreateKey',
      { keyspace: 'default', name: 'x' },
      { key: first.rootKey },
    );
    const verify = () =>
      callJson(first, 'AuthService/Verify', { token: made.body.secret }, { key: first.rootKey });
    await Promise.all(Array.from({ length: 137 }, verify));
    expect(await first.stop()).toBe(0);
    const second = await start({ folder: first.folder });
    const { body } = await callJson(
      second,
      'KeyService/GetKey',
      { id: made.body.key.id },
      { key: first.rootKey },
    );
    expect(body.key.usageCount).toBe('137');
  });
});

describe('open access', () => {
  test('lets anyone verify keys, but neither management keys nor anything else', async () => {
    const gatehouse = await start({ env: { GATEHOUSE_VERIFY_ACCESS: 'open' } });
    const made = await callJson(
      gatehouse,
      'KeyService/CreateKey',
      { keyspace: 'default', name: 'x' },
      { key: gatehouse.rootKey },
    );
    const verify = async (token: string, more: object = {}) =>
      callJson(gatehouse, 'AuthService/Verify', { token, ...more });
    expect((await verify(made.body.secret)).body.valid).toBe(true);
    expect((await verify(gatehouse.rootKey, { keyspaces: ['gatehouse'] })).body.status).toBe(
      'VERIFY_STATUS_NOT_FOUND',
    );
    expect((await verify(made.body.secret, { explain: true })).status).toBe(401);
    expect((await callJson(gatehouse, 'KeyService/ListKeys', {})).status).toBe(401);
  });
});
