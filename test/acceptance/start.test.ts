/** Starting and stopping: what is printed, what is refused, what is kept. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { failingStart, withPortInUse } from '../support/failing-start.ts';
import { callJson, type Gatehouse, startGatehouse, storeSettings } from '../support/gatehouse.ts';

const started: Gatehouse[] = [];

afterEach(async () => {
  for (const one of started.splice(0)) await one.remove();
});

async function start(...args: Parameters<typeof startGatehouse>): Promise<Gatehouse> {
  const gatehouse = await startGatehouse(...args);
  started.push(gatehouse);
  return gatehouse;
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
        const failed = failingStart({ ...storeSettings(folder), [setting]: port });
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

describe('a start that cannot be', () => {
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

    for (const peppers of ['', pepper('new', 2)]) {
      const { code, lines } = failingStart({
        ...storeSettings(first.folder),
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
