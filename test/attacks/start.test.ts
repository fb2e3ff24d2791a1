/** Starts that go wrong, and must not go wrong silently. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-attack-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the start printed where it failed. */
async function refusal(
  env: Record<string, string>,
  place: string = mkdtempSync(join(folder, 'start-')),
): Promise<string> {
  let started: Gatehouse;
  try {
    started = await startGatehouse({ env, folder: place });
  } catch (error) {
    return String(error);
  }
  await started.stop('SIGKILL');
  return 'the service came up';
}

/** A certificate that signed itself. @returns the names of its files. */
function certificate(name: string): { cert: string; key: string } {
  const [cert, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  execFileSync('openssl', [...made, '-keyout', key, '-out', cert, '-days', '2', '-subj', `/CN=${name}`], {
    stdio: 'ignore',
  });
  return { cert, key };
}

describe('a first start that fails after the store was made', () => {
  test('does not swallow the generated root key: the next start prints one', async () => {
    const blocker = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => blocker.once('listening', resolve));
    const { port } = blocker.address() as { port: number };
    const place = mkdtempSync(join(folder, 'first-'));
    const failed = await refusal({ GATEHOUSE_ROOT_KEY: '', GATEHOUSE_HTTP_PORT: String(port) }, place);
    blocker.close();
    expect(failed).toContain('in use');

    const second = await startGatehouse({ env: { GATEHOUSE_ROOT_KEY: '' }, folder: place });
    await second.stop('SIGKILL');
    expect(`${failed}${second.output().stderr}`).toContain('export GATEHOUSE_KEY=ghm_');
  });
});

describe('TLS files without a certificate in them', () => {
  const certificateLess = ['empty', 'words'] as const;

  test.each(certificateLess)(
    '%s as GATEHOUSE_TLS_CLIENT_CA: no start, the setting is named',
    async (kind) => {
      const { cert, key } = certificate(`server-${kind}`);
      const file = join(folder, `${kind}.pem`);
      writeFileSync(file, kind === 'empty' ? '' : 'not a certificate\n');
      const env = { GATEHOUSE_TLS_CERT: cert, GATEHOUSE_TLS_KEY: key, GATEHOUSE_TLS_CLIENT_CA: file };
      expect(await refusal(env)).toContain('GATEHOUSE_TLS_CLIENT_CA');
    },
  );

  test.each(certificateLess)('%s as GATEHOUSE_TLS_CERT: no start, the setting is named', async (kind) => {
    const { key } = certificate(`key-${kind}`);
    const file = join(folder, `${kind}.pem`);
    writeFileSync(file, kind === 'empty' ? '' : 'not a certificate\n');
    expect(await refusal({ GATEHOUSE_TLS_CERT: file, GATEHOUSE_TLS_KEY: key })).toContain('GATEHOUSE_TLS_');
  });

  test('an empty GATEHOUSE_TLS_CLIENT_CA never means the public authorities', async () => {
    const server = certificate('server');
    const stranger = certificate('stranger');
    const file = join(folder, 'none.pem');
    writeFileSync(file, '');
    const env = {
      GATEHOUSE_TLS_CERT: server.cert,
      GATEHOUSE_TLS_KEY: server.key,
      GATEHOUSE_TLS_CLIENT_CA: file,
    };
    // Makes the stranger's certificate one that a public authority might have signed.
    const started = await startGatehouse({ env: { ...env, NODE_EXTRA_CA_CERTS: stranger.cert } }).catch(
      () => undefined,
    );
    if (started === undefined) return;
    try {
      const status = await new Promise((resolve) => {
        const options = { cert: readFileSync(stranger.cert), key: readFileSync(stranger.key) };
        const request = https.get(`${started.http}/healthz`, { ...options, rejectUnauthorized: false });
        request.on('response', (response) => resolve(response.resume().statusCode));
        request.on('error', () => resolve('refused'));
      });
      expect(status).toBe('refused');
    } finally {
      await started.remove();
    }
  });
});

describe('a pepper that is another one under the old id', () => {
  test('stops the start where live keys need the old one', async () => {
    const pepper = (byte: number) => `2026a:${Buffer.alloc(32, byte).toString('base64')}`;
    const first = await startGatehouse({ env: { GATEHOUSE_PEPPERS: pepper(1) } });
    try {
      const format = { alphabet: 'ALPHABET_HEX', secretLength: 32, hash: 'HASH_ALGORITHM_HMAC_SHA256' };
      const keyspace = { id: 'shop', prefix: 'shop_', ...format };
      const options = { key: first.rootKey };
      await callJson(first, 'KeyspaceService/CreateKeyspace', { keyspace }, options);
      const made = await callJson(first, 'KeyService/CreateKey', { keyspace: 'shop', name: 'x' }, options);
      expect(made.status).toBe(200);
      await first.stop();
      expect(await refusal({ GATEHOUSE_PEPPERS: pepper(2) }, first.folder)).toContain('2026a');
    } finally {
      await first.remove();
    }
  });
});
