import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { CHILD_ENV } from '../support/child-env.ts';
import { runCli } from './run-cli.ts';

const BIN = fileURLToPath(new URL('../../bin/gatehouse.js', import.meta.url));
const KEY = 'ghm_key-of-the-command-tests-0123456789-abcdef';
const KEY_CREATE = ['keys', 'create', '--keyspace', 'default', '--name', 'x'];
const OWNER_UPDATE = ['owners', 'update', 'user:42', '--keyspace', 'default'];

test('root-key prints a root key and nothing else, a new one each time', async () => {
  const [one, two] = [await runCli(['root-key']), await runCli(['root-key'])];
  for (const { code, stdout, stderr } of [one, two]) {
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^ghm_[A-Za-z0-9_-]{32,128}\n$/);
  }
  expect(one.stdout).not.toBe(two.stdout);
});

describe('a server that gives no answer', () => {
  const calls = [
    ['keys', 'list'],
    ['verify', 'x'],
    ['keyspaces', 'list'],
    ['owners', 'list'],
    ['keys', 'revoke-all', '--owner', 'user:42', '--yes'],
  ];

  test('is exit code 4 and one line where nobody listens', async () => {
    for (const call of calls) {
      const { code, stdout, stderr } = await runCli([...call, '--server', '127.0.0.1:1', '--key', KEY]);
      expect({ code, stdout }).toEqual({ code: 4, stdout: '' });
      expect(stderr).toMatch(/^error: no connection to 127\.0\.0\.1:1: .*ECONNREFUSED.* \(UNAVAILABLE\)\n$/);
    }
  });

  test('is exit code 4 within the timeout where somebody listens and stays silent', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const address = silent.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const server = ['--server', `127.0.0.1:${port}`, '--timeout', '300ms'];
    const { code, stderr } = await runCli(['keys', 'list', ...server, '--key', KEY]);
    silent.close();
    expect(code).toBe(4);
    expect(stderr).toMatch(/^error: [^\n]+ \((UNAVAILABLE|DEADLINE_EXCEEDED)\)\n$/);
  });
});

describe('a command line that is wrong ends with 1 and one line', () => {
  test.each([
    [
      ['keys', 'list', '--state', 'broken'],
      /argument 'broken' is invalid. It must be one of active, disabled/,
    ],
    [['keys', 'list', '--created-after', 'monday'], /It must be a time such as/],
    [['keys', 'list', '--page-size', '-1'], /It must be a whole number/],
    [['keys', 'list', '--all', '--page-token', 'x'], /cannot be used with/],
    [['keys', 'create', '--name', 'x'], /required option '--keyspace <id>' not specified/],
    [['keys', 'update', 'key_1', '--enable', '--disable'], /cannot be used with/],
    [['keys', 'update', 'key_1', '--expires', '2027-01-01', '--never-expires'], /cannot be used with/],
    [['keys', 'get'], /missing required argument 'id'/],
    [['keys', 'gte'], /unknown command 'gte'/],
    [['keys', 'list', '--owner', 'user'], /It must be kind:id/],
    [
      [...KEY_CREATE, '--inherit-owner-permissions', '--permission', 'a'],
      /'--inherit-owner-permissions' cannot be used with/,
    ],
    [['owners', 'get', 'user', '--keyspace', 'default'], /It must be kind:id, such as user:42/],
    [['owners', 'get', '--keyspace', 'default'], /missing required argument 'kind:id'/],
    [['owners', 'get', 'user:42'], /required option '--keyspace <id>' not specified/],
    [['owners', 'list', '--disabled', '--enabled'], /cannot be used with/],
    [[...OWNER_UPDATE, '--disable', '--enable'], /cannot be used with/],
    [[...OWNER_UPDATE, '--not-before', 'yesterday'], /It must be now, or a time such as/],
    [[...OWNER_UPDATE, '--expected-revision', 'x'], /It must be a whole number/],
    [[...OWNER_UPDATE], /nothing to change: give at least one field/],
    [
      [...OWNER_UPDATE, '--no-permissions', '--remove-permission-bound'],
      /'--no-permissions' cannot be used with option '--remove-permission-bound'/,
    ],
    [[...OWNER_UPDATE, '--no-permissions', '--permission-bound', 'a'], /cannot be used with/],
    [
      [...OWNER_UPDATE, '--remove-permission-bound', '--permission-bound', 'a'],
      /'--remove-permission-bound' cannot be used with option '--permission-bound <permission>'/,
    ],
    [['keys', 'rotate', 'key_1', '--request-id', ''], /It must not be empty/],
    [[...KEY_CREATE, '--request-id', ''], /It must not be empty/],
    [['keys', 'revoke-all'], /whose keys\? give --owner kind:id, or --all for anyone/],
    [
      ['keys', 'revoke-all', '--keyspace', 'default', '--dry-run'],
      /whose keys\? give --owner kind:id, or --all/,
    ],
    [['keys', 'revoke-all', '--owner', '', '--dry-run'], /It must be kind:id/],
    [['keys', 'revoke-all', '--owner', 'user:42', '--all', '--yes'], /cannot be used with/],
    [['keys', 'revoke-all', '--all', '--keyspace', '', '--yes'], /--keyspace is empty/],
    [['keys', 'revoke-all', '--owner', 'user:42'], /with --dry-run first and give its count/],
    [['keys', 'revoke-all', '--all', '--expected-count', '-1'], /It must be a whole number/],
    [['keys', 'list', '--timeout', '10'], /It must be a duration such as/],
    [['keys', 'list', '--server', 'ftp://x', '--key', KEY], /an address must be host:port/],
    [['keys', 'list', '--key-file', '/no/such/file'], /\/no\/such\/file: there is no such file/],
    [['keys', 'list', '--key', KEY, '--ca', '/no/such/file'], /\/no\/such\/file: there is no such file/],
    [['keys', 'list', '--key', KEY, '--key-file', 'x'], /both given/],
    [['keys', 'get', `--${KEY}`], /unknown option '…'/],
    [['\u001b[31mred'], /unknown command '\\u001b\[31mred'/],
  ])('%j', async (args, message) => {
    const { code, stdout, stderr } = await runCli(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^error: /);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n {4}at |file:\/\//);
  });
});

test('help names every command and the exit codes', async () => {
  const { code, stdout } = await runCli(['--help']);
  expect(code).toBe(0);
  for (const text of [
    'serve',
    'root-key',
    'keys',
    'verify',
    'keyspaces',
    'owners',
    'store',
    'Exit codes:',
    'GATEHOUSE_SERVER',
  ]) {
    expect(stdout).toContain(text);
  }
  expect((await runCli(['verify', '--help'])).stdout).toMatch(
    /other\s+users of this machine can see arguments/,
  );
  expect((await runCli(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test('a reader that goes away ends the command without a word', async () => {
  const child = spawn(process.execPath, [BIN, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  child.stdout.destroy();
  await once(child, 'close');
  expect(stderr).toBe('');
});

test('serve runs the server until it is told to stop', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-serve-'));
  const env = { GATEHOUSE_DATA: join(folder, 'data.db'), GATEHOUSE_GRPC_PORT: '0', GATEHOUSE_HTTP_PORT: '0' };
  const child = spawn(process.execPath, [BIN, 'serve'], {
    env: { ...CHILD_ENV, GATEHOUSE_ROOT_KEY: KEY, ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    const lines = createInterface({ input: child.stdout });
    let port: unknown;
    for await (const line of lines) {
      if (!line.includes('"listening"')) continue;
      port = JSON.parse(line).grpc_port;
      break;
    }
    const { code } = await runCli(['keyspaces', 'list', '--server', `127.0.0.1:${port}`, '--key', KEY]);
    expect(code).toBe(0);
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  } finally {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
});

test('serve with a bad setting ends with 1 and one line that names it', async () => {
  const { code, stdout, stderr } = await runCli(['serve'], { env: { GATEHOUSE_GRPC_PORT: 'seven' } });
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/^[^\n]*GATEHOUSE_GRPC_PORT must be a port[^\n]*\n$/);
});
