/** No client at all: curl and JSON, over HTTP/1.1 and over HTTP/2. */

import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Gatehouse } from '../support/gatehouse.ts';
import { runTool } from './program.ts';
import { startService } from './service.ts';

const curl = process.env.GATEHOUSE_TEST_CURL ?? '';

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the answers' shape is what the tests assert
  readonly body: any;
}

describe.skipIf(curl === '')('curl', () => {
  let gatehouse: Gatehouse;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'gatehouse-curl-'));
    gatehouse = await startService();
  });
  afterAll(async () => {
    await gatehouse?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Posts a file, as a body may be longer than a command line. */
  const post = async (method: string, body: string | Buffer, ...options: string[]): Promise<Answer> => {
    const file = join(folder, randomUUID());
    writeFileSync(file, body);
    const out = await runTool(curl, [
      ...['--silent', '--show-error', '--write-out', '\n%{http_code}', '--data-binary', `@${file}`],
      ...['--header', 'content-type: application/json'],
      ...[...options, `${gatehouse.http}/gatehouse.v1.${method}`],
    ]);
    const cut = out.lastIndexOf('\n');
    return { status: Number(out.slice(cut)), body: JSON.parse(out.slice(0, cut)) };
  };
  const root = (method: string, body: unknown, ...options: string[]) =>
    post(method, JSON.stringify(body), ...header('authorization', `Bearer ${gatehouse.rootKey}`), ...options);
  const header = (name: string, value: string) => ['--header', `${name}: ${value}`];
  const make = async (fields: object) => (await root('KeyService/CreateKey', fields)).body;
  const details = ({ body }: Answer) =>
    Object.fromEntries(body.details.map(({ type, debug }: { type: string; debug: object }) => [type, debug]));

  test('makes, verifies, lists and revokes a key', async () => {
    const owner = { kind: 'user', id: 'alice' };
    const key = { keyspace: 'default', owner, permissions: ['docs:*'], ttl: '3600s' };
    const made = await make({ ...key, name: 'größe ✓' });
    expect(made).toMatchObject({ key: { name: 'größe ✓', owner, state: 'KEY_STATE_ACTIVE' } });
    const verify = () => root('AuthService/Verify', { token: made.secret, permissions: ['docs:read'] });
    expect(await verify()).toMatchObject({
      status: 200,
      body: {
        valid: true,
        status: 'VERIFY_STATUS_VALID',
        principal: { keyId: made.key.id, owner, permissions: ['docs:*'] },
      },
    });

    const other = await make({ ...key, name: 'second' });
    const question = { owner, pageSize: 1 };
    const first = await root('KeyService/ListKeys', question);
    const second = await root('KeyService/ListKeys', { ...question, pageToken: first.body.nextPageToken });
    const ids = [first, second].map(({ body }) => body.keys.map(({ id }: { id: string }) => id));
    expect(ids).toEqual([[other.key.id], [made.key.id]]);
    expect(second.body.nextPageToken).toBe('');

    const revoked = await root('KeyService/RevokeKey', { id: made.key.id, reason: 'no longer used' });
    expect(revoked.body.key).toMatchObject({ state: 'KEY_STATE_REVOKED', revokeReason: 'no longer used' });
    expect((await verify()).body).toMatchObject({ valid: false, status: 'VERIFY_STATUS_REVOKED' });
  });

  test('is served the same over HTTP/2, compressed both ways', async () => {
    const { secret } = await make({ keyspace: 'default', name: 'compressed' });
    const packed = gzipSync(JSON.stringify({ token: secret }));
    const options = ['--compressed', ...header('content-encoding', 'gzip')];
    const key = header('authorization', `Bearer ${gatehouse.rootKey}`);
    const path = 'AuthService/Verify';
    const plain = (await post(path, packed, ...key, ...options)).body;
    expect(plain.valid).toBe(true);
    // The port of gRPC, spoken to without TLS and without an upgrade.
    const h2 = ['--http2-prior-knowledge', '--connect-to', `::${gatehouse.grpc}`];
    expect((await post(path, packed, ...key, ...options, ...h2)).body).toEqual(plain);
  });

  test('reads errors as JSON: a code, a sentence, and details in words and in protobuf', async () => {
    const refused = await root('KeyService/CreateKey', { keyspace: 'default', permissions: ['a b'] });
    expect(refused).toMatchObject({
      status: 400,
      body: {
        code: 'invalid_argument',
        message: expect.stringContaining('name'),
        details: [
          { type: 'google.rpc.ErrorInfo', value: expect.stringMatching(/^[\w+/]+$/) },
          { type: 'google.rpc.BadRequest', value: expect.stringMatching(/^[\w+/]+$/) },
        ],
      },
    });
    expect(details(refused)).toMatchObject({
      'google.rpc.ErrorInfo': { reason: 'INVALID_FIELD', domain: 'gatehouse' },
      'google.rpc.BadRequest': { fieldViolations: [{ field: 'name' }, { field: 'permissions[0]' }] },
    });

    const nobody = await post('KeyService/ListKeys', '{}');
    expect(nobody).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
    expect(details(nobody)['google.rpc.ErrorInfo']).toMatchObject({ reason: 'CREDENTIALS_MISSING' });
  });

  test('is told of a field that does not exist, by its path', async () => {
    const refused = await root('KeyService/CreateKey', { keyspace: 'default', name: 'x', permission: ['a'] });
    expect([refused.status, refused.body.code]).toEqual([400, 'invalid_argument']);
    expect(details(refused)).toMatchObject({
      'google.rpc.ErrorInfo': { reason: 'INVALID_BODY' },
      'google.rpc.BadRequest': { fieldViolations: [{ field: 'permission' }] },
    });
  });

  test('is answered within its Connect-Timeout-Ms', async () => {
    // A tenth of a second of Argon2id: each key takes the most checks at once that the service allows for one.
    const made = await Promise.all(
      Array.from({ length: 8 }, (_, n) => root('KeyService/CreateKey', { keyspace: 'slow', name: `${n}` })),
    );
    const requests = made.flatMap(({ body }) =>
      ['aaaa', 'bbbb', 'cccc', 'dddd'].map((end) => ({ token: `${body.secret.slice(0, -4)}${end}` })),
    );
    const late = await root('AuthService/VerifyBatch', { requests }, ...header('connect-timeout-ms', '1'));
    expect(late).toMatchObject({ status: 504, body: { code: 'deadline_exceeded' } });
    expect(details(late)).toMatchObject({
      'google.rpc.ErrorInfo': { reason: 'DEADLINE_EXCEEDED' },
      'google.rpc.RetryInfo': { retryDelay: expect.stringMatching(/s$/) },
    });
    const inTime = await root(
      'AuthService/VerifyBatch',
      { requests },
      ...header('connect-timeout-ms', '9000'),
    );
    expect(inTime.body.results.length).toBe(requests.length);
    const broken = await root('AuthService/Verify', {}, ...header('connect-timeout-ms', 'soon'));
    expect([broken.status, broken.body.code]).toEqual([400, 'invalid_argument']);
  });

  test('has a batch of 100 answered in its order, and one of 101 or above its size refused', async () => {
    const { secret } = await make({ keyspace: 'default', name: 'batch' });
    const requests = Array.from({ length: 100 }, (_, n) => ({ token: n % 2 === 0 ? secret : 'gate_junk' }));
    const { body } = await root('AuthService/VerifyBatch', { requests });
    const valid = body.results.map(({ response }: { response: { valid: boolean } }) => response.valid);
    expect(valid).toEqual(requests.map((_, n) => n % 2 === 0));

    const oneMore = await root('AuthService/VerifyBatch', { requests: [...requests, {}] });
    expect([oneMore.status, oneMore.body.code]).toEqual([400, 'invalid_argument']);
    // Above 1 MiB curl asks with Expect: 100-continue first.
    const large = requests.map(() => ({ token: 'x'.repeat(11_000) }));
    const tooLarge = await root('AuthService/VerifyBatch', { requests: large });
    expect([tooLarge.status, tooLarge.body.code]).toEqual([429, 'resource_exhausted']);
    expect(details(tooLarge)['google.rpc.ErrorInfo']).toMatchObject({ reason: 'MESSAGE_TOO_LARGE' });
  });
});
