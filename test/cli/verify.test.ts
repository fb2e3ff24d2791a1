import { afterAll, beforeAll, expect, test } from 'vitest';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';
import { type RunOptions, runCli } from './run-cli.ts';

let gatehouse: Gatehouse;
let secret: string;
let id: string;

beforeAll(async () => {
  gatehouse = await startGatehouse();
  const body = {
    keyspace: 'default',
    name: 'verified',
    owner: { kind: 'user', id: '1' },
    project: 'p',
    permissions: ['docs:*'],
    allowedCidrs: ['192.0.2.0/24'],
  };
  const made = await callJson(gatehouse, 'KeyService/CreateKey', body, { key: gatehouse.rootKey });
  secret = made.body.secret;
  id = made.body.key.id;
});
afterAll(() => gatehouse?.remove());

const FROM = ['--client-ip', '192.0.2.7'];

async function verify(args: string[], options: RunOptions = {}) {
  const env = { GATEHOUSE_SERVER: gatehouse.grpc, GATEHOUSE_KEY: gatehouse.rootKey, ...options.env };
  const ended = await runCli(['verify', ...args], { ...options, env });
  expect(ended.stdout + ended.stderr).not.toContain(secret);
  return ended;
}

test('a valid key ends with 0, whether an argument, stdin by - or stdin alone has it', async () => {
  const ways: [string[], string][] = [
    [[secret], ''],
    [['-'], `${secret}\n`],
    [[], `  Bearer ${secret}\r\n`],
  ];
  for (const [args, stdin] of ways) {
    const { code, stdout, stderr } = await verify([...args, ...FROM], { stdin });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^valid +yes\nstatus +valid\n/);
    expect(stdout).toMatch(new RegExp(`^key id +${id}$`, 'm'));
    expect(stdout).toMatch(/^owner +user:1$/m);
  }
});

test('a key that is not valid ends with 2 and says why', async () => {
  const cases: [string[], string, string][] = [
    [[], secret, 'ip_not_allowed'],
    [[...FROM, '--permission', 'docs:read', '--permission', 'logs:read'], secret, 'insufficient_permissions'],
    [[...FROM, '--project', 'q'], secret, 'wrong_project'],
    [[...FROM, '--no-project'], secret, 'wrong_project'],
    [[...FROM, '--owner', 'user:2'], secret, 'wrong_owner'],
    [[...FROM, '--keyspace', 'gatehouse'], secret, 'wrong_keyspace'],
    [[], `${secret.slice(0, -1)}${secret.endsWith('0') ? '1' : '0'}`, 'malformed'],
    [[], 'nothing_like_a_key', 'not_found'],
    [[], '', 'missing'],
  ];
  const all = cases.map(async ([args, stdin, status]) => {
    const { code, stdout, stderr } = await verify(args, { stdin });
    expect({ code, stderr, status }).toEqual({ code: 2, stderr: '', status });
    expect(stdout).toMatch(new RegExp(`^valid +no\\nstatus +${status}\\n`));
  });
  await Promise.all(all);
});

test('--json writes the whole answer, defaults included', async () => {
  const { code, stdout } = await verify(['--json', '--permission', 'logs:read', ...FROM], { stdin: secret });
  expect(code).toBe(2);
  expect(JSON.parse(stdout)).toMatchObject({
    valid: false,
    status: 'VERIFY_STATUS_INSUFFICIENT_PERMISSIONS',
    missingPermissions: ['logs:read'],
    checks: [],
    principal: { keyId: id, project: 'p' },
  });
});

test('--explain shows every check that was made', async () => {
  const { code, stdout } = await verify(['--explain', '--strong', ...FROM], { stdin: secret });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^CHECK +PASSED +DETAIL$/m);
  expect(stdout).toMatch(/^not_expired +yes/m);
});

test('a token too long for the server is its refusal, one that never ends is a mistake', async () => {
  const long = await verify([], { stdin: 'x'.repeat(9000) });
  expect(long.code).toBe(3);
  expect(long.stderr).toMatch(/^error: the request is not valid.*\n {2}token: /);
  const endless = await verify([], { stdin: 'x'.repeat(200_000) });
  expect(endless).toMatchObject({ code: 1, stderr: 'error: stdin holds more than 65536 bytes\n' });
});

test('a caller without a key is refused by a server that wants one', async () => {
  const { code, stderr } = await runCli(['verify', '--server', gatehouse.grpc], { stdin: secret });
  expect(code).toBe(3);
  expect(stderr).toMatch(/^error: .*\(UNAUTHENTICATED, [A-Z_]+\)\n$/);
});

test('a key in the place of a command or option is not repeated', async () => {
  for (const args of [
    [secret],
    ['keys', secret],
    ['keys', 'list', `--kee=${secret}`],
    ['verify', '-', secret],
  ]) {
    const { code, stdout, stderr } = await runCli(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^error: /);
    expect(stderr).not.toContain(secret);
  }
});
