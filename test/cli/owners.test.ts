import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';
import { jsonAgainst, type RunOptions, runAgainst } from './run-cli.ts';

let gatehouse: Gatehouse;

beforeAll(async () => {
  gatehouse = await startGatehouse();
});
afterAll(() => gatehouse?.remove());

const cli = (args: string[], options: RunOptions = {}) => runAgainst(gatehouse, args, options);
const json = (args: string[]) => jsonAgainst(gatehouse, args);

const IN_DEFAULT = ['--keyspace', 'default'];
const updateArgs = (owner: string, ...more: string[]) => ['owners', 'update', owner, ...IN_DEFAULT, ...more];
const update = async (owner: string, ...more: string[]) => (await json(updateArgs(owner, ...more))).owner;
const get = async (owner: string) => (await json(['owners', 'get', owner, ...IN_DEFAULT])).owner;

/** Straight to the service: what other commands do is tested with them, and each is a process. */
async function call(method: string, body: object) {
  const answer = await callJson(gatehouse, method, body, { key: gatehouse.rootKey });
  expect(answer.status).toBe(200);
  return answer.body;
}

const createKey = (owner: string, permission = '*') =>
  call('KeyService/CreateKey', {
    keyspace: 'default',
    name: 'a key',
    owner: { kind: owner.split(':')[0], id: owner.split(':')[1] },
    permissions: [permission],
  });

/** What Verify says of the key, without `VERIFY_STATUS_`. */
const statusOf = async (token: string, permissions: string[] = []): Promise<string> =>
  (await call('AuthService/Verify', { token, permissions })).status.replace('VERIFY_STATUS_', '');

describe('owners update', () => {
  test('makes the record where there is none, and shows it to a person as owners get does', async () => {
    const made = await cli(updateArgs('user:a:1', '--permission-bound', 'docs:*', '--permission-bound', 'b'));
    expect([made.code, made.stderr]).toEqual([0, '']);
    expect(made.stdout).toMatch(/^owner +user:a:1\nkeyspace +default\npermission bound +docs:\*, b\n/);
    expect(made.stdout).toMatch(/^revision +1$/m);
    expect((await cli(['owners', 'get', 'user:a:1', ...IN_DEFAULT])).stdout).toBe(made.stdout);
    expect(await get('user:a:1')).toMatchObject({
      kind: 'user',
      id: 'a:1',
      permissionBound: { permissions: ['docs:*', 'b'] },
      disabled: false,
      generation: '0',
    });
  });

  test('sets, empties and removes what bounds every key of the owner, and tells the three apart', async () => {
    const { secret } = await createKey('user:bound');
    const shownBound = async (...more: string[]) => {
      const { stdout } = await cli(updateArgs('user:bound', ...more));
      return /^permission bound +(.*)$/m.exec(stdout)?.[1];
    };
    const mayRead = () => statusOf(secret, ['docs:read']);

    expect(await shownBound('--permission-bound', 'logs:*')).toBe('logs:*');
    expect(await mayRead()).toBe('INSUFFICIENT_PERMISSIONS');
    expect(await shownBound('--permission-bound', 'docs:*')).toBe('docs:*');
    expect(await mayRead()).toBe('VALID');
    expect(await shownBound('--no-permissions')).toBe('nothing at all');
    expect(await mayRead()).toBe('INSUFFICIENT_PERMISSIONS');
    expect((await get('user:bound')).permissionBound).toEqual({ permissions: [] });
    expect(await shownBound('--remove-permission-bound')).toBe('no bound');
    expect(await mayRead()).toBe('VALID');
    expect((await get('user:bound')).permissionBound).toBeUndefined();
  });

  test('stops every key of the owner with --disable, and lets them work again with --enable', async () => {
    const { secret } = await createKey('user:stopped');
    expect(await update('user:stopped', '--disable')).toMatchObject({ disabled: true });
    expect(await statusOf(secret)).toBe('OWNER_DISABLED');
    expect(await update('user:stopped', '--enable')).toMatchObject({ disabled: false });
    expect(await statusOf(secret)).toBe('VALID');
  });

  test.each(['now', '2020-01-01'])(
    'revokes with --not-before %s every key made before, and no later one',
    async (time) => {
      const owner = `user:before-${time}`;
      const before = await createKey(owner);
      const set = await update(owner, '--not-before', time);
      expect(set.generation).toBe('1');
      const distance = Math.abs(Date.parse(set.notBefore) - (time === 'now' ? Date.now() : Date.parse(time)));
      expect(distance).toBeLessThan(time === 'now' ? 60_000 : 1);
      expect(await statusOf(before.secret)).toBe('REVOKED');
      expect(await statusOf((await createKey(owner)).secret)).toBe('VALID');
    },
  );

  test('says that --not-before revoked keys, whatever time it names', async () => {
    const { stdout } = await cli(updateArgs('user:said', '--not-before', '2099-01-01'));
    expect(stdout).toMatch(/^generation +1$/m);
    expect(stdout).toMatch(/\n\nEvery key that the owner had by now is revoked\.\n$/);
    expect((await cli(updateArgs('user:said', '--disable'))).stdout).not.toContain('revoked');
  });

  test('changes what is given and nothing else', async () => {
    const before = await update('user:rest', '--permission-bound', 'a', '--not-before', '2020-01-01');
    const after = await update('user:rest', '--disable');
    expect(after).toEqual({ ...before, disabled: true, revision: '2', updateTime: after.updateTime });
  });

  test('with --expected-revision changes that revision alone, 0 being no record', async () => {
    await update('user:revision', '--disable', '--expected-revision', '0');
    for (const revision of ['0', '2']) {
      const { code, stdout, stderr } = await cli(
        updateArgs('user:revision', '--not-before', 'now', '--expected-revision', revision),
      );
      expect([code, stdout]).toEqual([3, '']);
      expect(stderr).toMatch(/^error: [^\n]+ \(ABORTED, REVISION_MISMATCH\)\n$/);
    }
    expect((await update('user:revision', '--enable', '--if-revision', '1')).revision).toBe('2');
  });

  test.each([
    ['an unknown keyspace', ['user:1', '--keyspace', 'nowhere'], /"nowhere" was not found \(NOT_FOUND\)\n$/],
    ['the reserved keyspace', ['user:1', '--keyspace', 'gatehouse'], /, RESERVED_KEYSPACE\)\n$/],
    ['a kind that is none', ['User:1', ...IN_DEFAULT], /^ {2}owner\.kind: must be an owner kind/m],
    ['an id with an escape', ['user:\u001b[2J', ...IN_DEFAULT], /^ {2}owner\.id: must not contain control/m],
    [
      'a permission that is none',
      ['user:1', ...IN_DEFAULT, '--permission-bound', 'a\u001b[2J'],
      /^ {2}owner\.permission_bound\.permissions\[0\]: must be a permission/m,
    ],
  ])('of %s is refused', async (_, args, message) => {
    const { code, stdout, stderr } = await cli(['owners', 'update', ...args, '--disable']);
    expect([code, stdout]).toEqual([3, '']);
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain('\u001b');
  });
});

describe('owners get', () => {
  test('of an owner without a record ends with 3 and one line', async () => {
    await createKey('user:plain');
    const { code, stdout, stderr } = await cli(['owners', 'get', 'user:plain', ...IN_DEFAULT]);
    expect([code, stdout]).toEqual([3, '']);
    expect(stderr).toBe(
      'error: a record of owner "user:plain" in keyspace "default" was not found (NOT_FOUND)\n',
    );
  });

  test('and all else of owners is refused to a key without permission for it', async () => {
    const { secret } = await json([
      'keys',
      'create',
      '--keyspace',
      'gatehouse',
      '--name',
      'k',
      '--permission',
      'keys:read',
    ]);
    const calls = [
      ['owners', 'get', 'user:1', ...IN_DEFAULT],
      ['owners', 'list'],
      updateArgs('user:1', '--disable'),
    ];
    for (const args of calls) {
      const { code, stdout, stderr } = await cli(args, { env: { GATEHOUSE_KEY: secret } });
      expect([code, stdout]).toEqual([3, '']);
      expect(stderr).toMatch(/^error: [^\n]+ \(PERMISSION_DENIED, PERMISSION_MISSING\)\n$/);
    }
  });
});

describe('owners list', () => {
  const listed = async (...filter: string[]) =>
    (await json(['owners', 'list', ...filter])).owners.map(
      (one: { kind: string; id: string }) => `${one.kind}:${one.id}`,
    );

  test('is a table of what matches', async () => {
    await update('listed:1', '--permission-bound', 'a', '--permission-bound', 'b:*');
    await update('listed:2', '--disable', '--no-permissions');
    await update('listed:3', '--not-before', '2020-01-01');
    const { code, stdout } = await cli(['owners', 'list', '--kind', 'listed']);
    expect(code).toBe(0);
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((row) => row.split(/ {2,}/)),
    ).toEqual([
      ['OWNER', 'KEYSPACE', 'DISABLED', 'PERMISSION BOUND', 'NOT BEFORE'],
      ['listed:1', 'default', 'no', 'a, b:*'],
      ['listed:2', 'default', 'yes', 'nothing at all'],
      ['listed:3', 'default', 'no', 'no bound', '2020-01-01T00:00:00Z'],
    ]);
    expect(await listed('--kind', 'listed', '--disabled')).toEqual(['listed:2']);
    expect(await listed('--kind', 'listed', '--enabled')).toEqual(['listed:1', 'listed:3']);
    expect(await listed('--kind', 'listed', ...IN_DEFAULT)).toHaveLength(3);
    expect(await listed('--keyspace', 'gatehouse')).toEqual([]);
    expect((await cli(['owners', 'list', '--kind', 'nobody'])).stdout).toBe('No owners.\n');
  });

  test('gives every page as one answer, each owner once', async () => {
    // So large that a page ends before the owners do.
    const permissions = Array.from({ length: 256 }, (_, index) => `${index}-`.padEnd(128, 'x'));
    const ids = Array.from({ length: 80 }, (_, index) => String(index).padStart(3, '0'));
    for (const id of ids) {
      await call('OwnerService/UpdateOwner', {
        owner: { keyspace: 'default', kind: 'large', id, permissionBound: { permissions } },
        updateMask: 'permissionBound',
      });
    }
    const page = await call('OwnerService/ListOwners', { kind: 'large', pageSize: 1000 });
    expect(page.nextPageToken).not.toBe('');
    expect(await listed('--kind', 'large')).toEqual(ids.map((id) => `large:${id}`));
  });

  test('and the other commands show what could repaint the terminal as escapes', async () => {
    const owner = 'escape:\u202etxt.exe\u2069 \u200b';
    for (const args of [
      updateArgs(owner, '--disable'),
      ['owners', 'get', owner, ...IN_DEFAULT],
      ['owners', 'list', '--kind', 'escape'],
    ]) {
      for (const form of [[], ['--json']]) {
        const { stdout } = await cli([...args, ...form]);
        expect(stdout).toContain('\\u202etxt.exe\\u2069 \\u200b');
        expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
      }
    }
  });
});

test('a key made or changed to inherit has what its owner may do, until it has its own permissions again', async () => {
  await update('team:heirs', '--permission-bound', 'docs:*');
  const create = ['keys', 'create', ...IN_DEFAULT, '--name', 'heir', '--owner', 'team:heirs'];
  const { key, secret } = await json([...create, '--inherit-owner-permissions']);
  expect(key).toMatchObject({ inheritOwnerPermissions: true, permissions: [] });
  const mayRead = () => statusOf(secret, ['docs:read']);
  expect(await mayRead()).toBe('VALID');

  const change = async (...more: string[]) => (await json(['keys', 'update', key.id, ...more])).key;
  expect(await change('--no-inherit-owner-permissions')).toMatchObject({ inheritOwnerPermissions: false });
  expect(await mayRead()).toBe('INSUFFICIENT_PERMISSIONS');
  expect(await change('--no-inherit-owner-permissions', '--permission', 'docs:read')).toMatchObject({
    permissions: ['docs:read'],
  });
  expect(await mayRead()).toBe('VALID');
  expect(await change('--inherit-owner-permissions')).toMatchObject({
    inheritOwnerPermissions: true,
    permissions: [],
  });
  const both = await cli(['keys', 'update', key.id, '--inherit-owner-permissions', '--permission', 'a']);
  expect([both.code, both.stderr]).toEqual([
    3,
    expect.stringMatching(/^ {2}key\.permissions: must be empty/m),
  ]);
});
