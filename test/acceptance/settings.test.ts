/** Settings, good and bad: what has nothing to do with the store that is behind them. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { hasOpenssl, makeCertificate } from '../support/certificate.ts';
import { failingStart, withPortInUse } from '../support/failing-start.ts';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';

const started: Gatehouse[] = [];

afterEach(async () => {
  for (const one of started.splice(0)) await one.remove();
});

async function start(...args: Parameters<typeof startGatehouse>): Promise<Gatehouse> {
  const gatehouse = await startGatehouse(...args);
  started.push(gatehouse);
  return gatehouse;
}

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

describe('a start with settings that cannot be', () => {
  test.each([
    ['a port that is none', { GATEHOUSE_HTTP_PORT: '80a' }, 'GATEHOUSE_HTTP_PORT'],
    ['a port beyond 65535', { GATEHOUSE_GRPC_PORT: '65536' }, 'GATEHOUSE_GRPC_PORT'],
    ['a root key of the wrong form', { GATEHOUSE_ROOT_KEY: 'hunter2-hunter2' }, 'GATEHOUSE_ROOT_KEY'],
    ['a pepper that is too short', { GATEHOUSE_PEPPERS: 'p1:c2hvcnQ=' }, 'GATEHOUSE_PEPPERS'],
    ['a log level that is none', { GATEHOUSE_LOG_LEVEL: 'loud' }, 'GATEHOUSE_LOG_LEVEL'],
    ['a misspelt setting', { GATEHOUSE_HTPP_PORT: '1' }, 'GATEHOUSE_HTPP_PORT'],
    ['a port that names no listener', { GATEHOUSE_PORT: '8080' }, 'GATEHOUSE_PORT'],
    ['a database of another kind', { MONGODB_URI: 'postgres://user:hunter2@localhost' }, 'MONGODB_URI'],
    ['a Redis that is none', { REDIS_URL: 'http://:hunter2@localhost' }, 'REDIS_URL must be redis://'],
    [
      'a database of Redis that is no number',
      { REDIS_URL: 'redis://:hunter2@localhost/abc' },
      'REDIS_URL must',
    ],
    ['a part of a database of Redis', { REDIS_URL: 'redis://:hunter2@localhost/0/1' }, 'REDIS_URL must'],
    [
      'a setting that this version does not have',
      { GATEHOUSE_METRICS_PORT: '9090' },
      'GATEHOUSE_METRICS_PORT',
    ],
    [
      'workers over the embedded store',
      { GATEHOUSE_WORKERS: '2' },
      'GATEHOUSE_WORKERS above 1 needs MONGODB_URI',
    ],
    ['no worker', { GATEHOUSE_WORKERS: '0' }, 'GATEHOUSE_WORKERS must be'],
    ['more workers than there may be', { GATEHOUSE_WORKERS: '65' }, 'GATEHOUSE_WORKERS must be'],
    ['a number of workers that is none', { GATEHOUSE_WORKERS: '2x' }, 'GATEHOUSE_WORKERS must be'],
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

  describe.skipIf(!hasOpenssl)('TLS', () => {
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
});
