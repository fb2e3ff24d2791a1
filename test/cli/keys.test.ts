import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';
import { jsonAgainst, type RunOptions, runAgainst, runCli } from './run-cli.ts';

let gatehouse: Gatehouse;

beforeAll(async () => {
  gatehouse = await startGatehouse();
});
afterAll(() => gatehouse?.remove());

const cli = (args: string[], options: RunOptions = {}) => runAgainst(gatehouse, args, options);
const json = (args: string[]) => jsonAgainst(gatehouse, args);

const createKey = (name: string, ...more: string[]) =>
  json(['keys', 'create', '--keyspace', 'default', '--name', name, ...more]);

describe('keys create', () => {
  test('prints the key and its secret once, for a person', async () => {
    const { code, stdout, stderr } = await cli([
      'keys',
      'create',
      '--keyspace',
      'default',
      '--name',
      'first',
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^id +key_\w+$/m);
    expect(stdout).toMatch(/^name +first$/m);
    expect(stdout).toMatch(/^expire time +never$/m);
    expect(stdout).toMatch(/shown once.*:\ngate_[0-9A-Za-z]{38}\n$/);
    expect(stdout.match(/gate_[0-9A-Za-z]{38}/g)).toHaveLength(1);
  });

  test('sends every field that is given', async () => {
    const { key, secret } = await createKey(
      'full',
      ...['--owner', 'user:a:1', '--project', 'p1', '--permission', 'docs:read', '--permission', 'logs:*'],
      ...[
        '--metadata',
        'plan=pro',
        '--metadata',
        'note=a=b',
        '--cidr',
        '192.0.2.0/24',
        '--expires',
        '2099-01-01',
      ],
    );
    expect(secret).toMatch(/^gate_/);
    expect(key).toMatchObject({
      name: 'full',
      owner: { kind: 'user', id: 'a:1' },
      project: 'p1',
      permissions: ['docs:read', 'logs:*'],
      metadata: { plan: 'pro', note: 'a=b' },
      allowedCidrs: ['192.0.2.0/24'],
      expireTime: '2099-01-01T00:00:00Z',
    });
  });

  test('writes default values out as JSON', async () => {
    const answer = await createKey('defaults', '--never-expires');
    expect(answer).toMatchObject({
      replayed: false,
      key: { disabled: false, permissions: [], usageCount: '0' },
    });
    expect(answer.key.expireTime).toBeUndefined();
  });

  test('counts --ttl from now', async () => {
    const { key } = await createKey('ttl', '--ttl', '1d');
    expect(Date.parse(key.expireTime) - Date.parse(key.createTime)).toBe(86_400_000);
  });

  test('shows each field that the server refuses on its own line, with exit code 3', async () => {
    const args = ['keys', 'create', '--keyspace', 'Not An Id', '--name', ''];
    const { code, stdout, stderr } = await cli(args);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr.split('\n')[0]).toMatch(/^error: the request is not valid \(INVALID_ARGUMENT, [A-Z_]+\)$/);
    expect(stderr).toMatch(/^ {2}keyspace: must be a keyspace id/m);
    expect(stderr).toMatch(/^ {2}name: /m);
  });
});

describe('keys list', () => {
  test('is a table of what matches, newest first, without secrets', async () => {
    const made = [
      await createKey('list-a', '--owner', 'team:list'),
      await createKey('list-b', '--owner', 'team:list'),
    ];
    const { code, stdout } = await cli(['keys', 'list', '--owner', 'team:list']);
    expect(code).toBe(0);
    const [head, ...rows] = stdout.trimEnd().split('\n');
    expect(head?.split(/ {2,}/)).toEqual([
      'ID',
      'NAME',
      'KEY',
      'STATE',
      'KEYSPACE',
      'OWNER',
      'EXPIRES',
      'LAST USED',
    ]);
    expect(rows.map((row) => row.split(/ {2,}/).slice(0, 2))).toEqual([
      [made[1].key.id, 'list-b'],
      [made[0].key.id, 'list-a'],
    ]);
    for (const { secret } of made) expect(stdout).not.toContain(secret);
  });

  test('goes page by page, and --all gives each key once', async () => {
    const names = ['p1', 'p2', 'p3', 'p4', 'p5'];
    for (const name of names) await createKey(name, '--owner', 'team:pages');
    const page = ['keys', 'list', '--owner', 'team:pages', '--page-size', '2'];

    const first = await json([...page, '--totals']);
    expect(first).toMatchObject({ totalSize: 5, activeSize: 5 });
    const second = await json([...page, '--page-token', first.nextPageToken]);
    const both = [...first.keys, ...second.keys].map((key) => key.name);
    expect(both).toEqual(['p5', 'p4', 'p3', 'p2']);

    const all = await json([...page, '--all']);
    expect(all.keys.map((key: { name: string }) => key.name)).toEqual(names.toReversed());
    expect(all.nextPageToken).toBe('');

    const { stdout } = await cli([...page, '--totals']);
    expect(stdout).toMatch(/^5 in all, 5 active$/m);
    expect(stdout).toMatch(/^more: --page-token \S+$/m);
  });

  test('filters by state, project, name, prefix and time', async () => {
    const { key } = await createKey(
      'Filter Me',
      '--owner',
      'team:filter',
      '--project',
      'px',
      '--expires',
      '2099-01-01',
    );
    const other = await createKey('other', '--owner', 'team:filter');
    const idsOf = async (...filter: string[]) =>
      (await json(['keys', 'list', '--owner', 'team:filter', ...filter])).keys.map(
        (one: { id: string }) => one.id,
      );
    const cases: [string[], string[]][] = [
      [['--project', 'px'], [key.id]],
      [['--no-project'], [other.key.id]],
      [['--name', 'filter me'], [key.id]],
      [['--display-prefix', key.displayPrefix], [key.id]],
      [['--expires-after', '2098-12-31', '--expires-before', '2099-01-02'], [key.id]],
      [
        ['--created-after', '2020-01-01'],
        [other.key.id, key.id],
      ],
      [['--created-before', '2020-01-01'], []],
      [['--last-used-after', '2020-01-01'], []],
      [['--last-used-after', '2020-01-01', '--last-used-before', '2099-01-01'], []],
      [['--state', 'revoked', '--state', 'disabled'], []],
      [['--keyspace', 'gatehouse'], []],
    ];
    expect(await Promise.all(cases.map(([filter]) => idsOf(...filter)))).toEqual(cases.map(([, ids]) => ids));
  });

  test('says so where nothing matches', async () => {
    expect((await cli(['keys', 'list', '--owner', 'team:nobody'])).stdout).toBe('No keys.\n');
  });

  test('shows what could repaint the terminal as escapes', async () => {
    const name = 'safe \u202etxt.exe\u2069';
    const owner = { kind: 'user', id: '\u200bowner' };
    const made = await callJson(
      gatehouse,
      'KeyService/CreateKey',
      { keyspace: 'default', name, owner },
      { key: gatehouse.rootKey },
    );
    expect(made.status).toBe(200);
    for (const args of [['list'], ['list', '--json'], ['get', made.body.key.id]]) {
      const { stdout } = await cli(['keys', ...args]);
      expect(stdout).toContain('safe \\u202etxt.exe\\u2069');
      expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    }
  });
});

describe('keys get', () => {
  test('shows one key, without its secret', async () => {
    const { key, secret } = await createKey('got', '--metadata', 'plan=pro');
    const { code, stdout } = await cli(['keys', 'get', key.id]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^metadata +plan=pro$/m);
    expect(stdout).toMatch(/^state +active$/m);
    expect(stdout).not.toContain(secret);
    expect(await json(['keys', 'get', key.id])).toEqual({ key });
  });

  test('of an unknown id ends with 3 and one line', async () => {
    const { code, stdout, stderr } = await cli(['keys', 'get', 'key_unknown']);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toMatch(/^error: .*not found.* \(NOT_FOUND\)\n$/);
  });
});

describe('keys update', () => {
  test('changes the fields that are given and no other', async () => {
    const { key } = await createKey(
      'before',
      '--permission',
      'a',
      '--metadata',
      'k=v',
      '--project',
      'p',
      '--cidr',
      '::1',
    );
    const renamed = (await json(['keys', 'update', key.id, '--name', 'after'])).key;
    expect(renamed).toEqual({ ...key, name: 'after', revision: '2', updateTime: renamed.updateTime });

    const given = [
      '--permission',
      'b',
      '--metadata',
      'x=y',
      '--expires',
      '2099-01-01',
      '--disable',
      '--project',
      'q',
    ];
    expect((await json(['keys', 'update', key.id, ...given])).key).toMatchObject({
      name: 'after',
      permissions: ['b'],
      metadata: { x: 'y' },
      expireTime: '2099-01-01T00:00:00Z',
      state: 'KEY_STATE_DISABLED',
      project: 'q',
      allowedCidrs: ['::1/128'],
    });

    const cleared = [
      '--clear-permissions',
      '--clear-metadata',
      '--clear-cidrs',
      '--never-expires',
      '--enable',
      '--no-project',
    ];
    const bare = (await json(['keys', 'update', key.id, ...cleared])).key;
    expect(bare).toMatchObject({
      permissions: [],
      metadata: {},
      allowedCidrs: [],
      project: '',
      state: 'KEY_STATE_ACTIVE',
    });
    expect(bare.expireTime).toBeUndefined();
  });

  test('with --if-revision of an earlier one is refused', async () => {
    const { key } = await createKey('revision');
    await json(['keys', 'update', key.id, '--name', 'two', '--if-revision', '1']);
    const { code, stderr } = await cli(['keys', 'update', key.id, '--name', 'three', '--if-revision', '1']);
    expect(code).toBe(3);
    expect(stderr).toMatch(/\(ABORTED, REVISION_MISMATCH\)\n$/);
  });

  test('of nothing is a mistake', async () => {
    const { code, stderr } = await cli(['keys', 'update', 'key_1']);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'error: nothing to change: give at least one field, see --help\n',
    });
  });
});

describe('keys rotate', () => {
  const verify = async (token: string) => (await json(['verify', token])).principal?.secretGeneration;

  test('prints the new secret once, for a person, and the old one stops at once', async () => {
    const { key, secret } = await createKey('to rotate');
    const { code, stdout, stderr } = await cli(['keys', 'rotate', key.id]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^revision +2$/m);
    expect(stdout).toMatch(/shown once.*:\ngate_[0-9A-Za-z]{38}\n$/);
    const next = stdout.trimEnd().split('\n').at(-1) ?? '';
    expect(await verify(next)).toBe('SECRET_GENERATION_CURRENT');
    expect((await cli(['verify', secret])).code).toBe(2);
  });

  test('with --overlap keeps the old one, until keys update cuts it short or ends it', async () => {
    const { key, secret } = await createKey('to rotate');
    await json(['keys', 'rotate', key.id, '--overlap', '7d', '--if-revision', '1']);
    expect(await verify(secret)).toBe('SECRET_GENERATION_PREVIOUS');
    const { stdout } = await cli(['keys', 'get', key.id]);
    expect(stdout).toMatch(/^previous secret +\{expire time \d{4}-.*Z/m);

    const until = new Date(Date.now() + 3_600_000).toISOString();
    const cut = await json(['keys', 'update', key.id, '--overlap-until', until]);
    expect(cut.key.previousSecret.expireTime).toBe(until);
    const ended = await json(['keys', 'update', key.id, '--end-overlap', '--expected-revision', '3']);
    expect([ended.key.revision, ended.key.previousSecret]).toEqual(['4', undefined]);
    expect((await cli(['verify', secret])).code).toBe(2);
    const late = await cli(['keys', 'update', key.id, '--overlap-until', until]);
    expect([late.code, late.stderr]).toEqual([3, expect.stringMatching(/NO_PREVIOUS_SECRET\)\n$/)]);
  });

  test('of another revision, or longer than a server takes, is refused', async () => {
    const { key } = await createKey('to rotate');
    const moved = await cli(['keys', 'rotate', key.id, '--expected-revision', '2']);
    expect([moved.code, moved.stderr]).toEqual([3, expect.stringMatching(/REVISION_MISMATCH\)\n$/)]);
    const long = await cli(['keys', 'rotate', key.id, '--overlap', '91d']);
    expect([long.code, long.stderr]).toEqual([3, expect.stringMatching(/^ {2}overlap: /m)]);
  });
});

test('--request-id makes keys create and keys rotate safe to repeat, and says that the secret is not there again', async () => {
  const create = ['keys', 'create', '--keyspace', 'default', '--name', 'once', '--request-id', 'cli-1'];
  const { key } = await json(create);
  const rotate = ['keys', 'rotate', key.id, '--request-id', 'cli-1'];
  const { secret } = await json(rotate);
  expect(secret).toMatch(/^gate_/);
  for (const args of [create, rotate]) {
    expect(await json(args)).toMatchObject({
      replayed: true,
      secret: '',
      key: { id: key.id, revision: '2' },
    });
    const { code, stdout } = await cli(args);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /\n\nThis request id was used before\. .*not shown again\.\n.* rotate the key, .*\n$/,
    );
    expect(stdout).not.toContain('shown once');
  }
  const other = await cli([...rotate, '--overlap', '1d']);
  expect([other.code, other.stderr]).toEqual([3, expect.stringMatching(/REQUEST_ID_REUSED\)\n$/)]);
});

describe('keys revoke', () => {
  test('takes the whole key from stdin in place of its id, and shows it nowhere', async () => {
    for (const args of [['--secret-stdin'], ['-'], ['-', '--secret-stdin']]) {
      const { key, secret } = await createKey('turned in');
      const { code, stdout, stderr } = await cli(['keys', 'revoke', ...args], { stdin: `${secret}\n` });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain(key.id);
      expect(stdout).toMatch(/^state +revoked$/m);
      expect(stdout).not.toContain(secret);
    }
    const unknown = await cli(['keys', 'revoke', '-'], { stdin: 'gate_unknown' });
    expect([unknown.code, unknown.stderr]).toEqual([3, expect.stringMatching(/\(NOT_FOUND\)\n$/)]);
    expect(unknown.stderr).not.toContain('gate_unknown');
  });

  test('of no key, or of two at once, is a mistake', async () => {
    const none = await cli(['keys', 'revoke']);
    expect([none.code, none.stderr]).toEqual([
      1,
      'error: no key to revoke: give its id, or --secret-stdin\n',
    ]);
    const both = await cli(['keys', 'revoke', 'key_1', '--secret-stdin'], { stdin: 'gate_x' });
    expect([both.code, both.stderr]).toEqual([
      1,
      'error: give the id of the key or --secret-stdin, not both\n',
    ]);
    const empty = await cli(['keys', 'revoke', '--secret-stdin'], { stdin: '\n' });
    expect([empty.code, empty.stderr]).toEqual([1, 'error: no key on stdin: it was empty\n']);
  });

  test('of a whole key as an argument is a mistake, and the key goes nowhere', async () => {
    const { key, secret } = await createKey('in the arguments');
    const { code, stderr } = await cli(['keys', 'revoke', secret]);
    expect([code, stderr]).toEqual([
      1,
      'error: the id of a key begins with "key_"; a whole key is turned in with --secret-stdin\n',
    ]);
    expect((await json(['keys', 'get', key.id])).key.state).toBe('KEY_STATE_ACTIVE');
  });

  test('lists what it made and still lives, and with --include-descendants revokes that too', async () => {
    const format = { alphabet: 'ALPHABET_BASE62', secretLength: 32, hash: 'HASH_ALGORITHM_SHA256' };
    const selfServiceCallers = ['SELF_SERVICE_CALLER_KEY'];
    const as = (key: string, method: string, body: object) => callJson(gatehouse, method, body, { key });
    await as(gatehouse.rootKey, 'KeyspaceService/CreateKeyspace', {
      keyspace: { ...format, id: 'family', prefix: 'fam_', selfServiceCallers },
    });
    const inFamily = { keyspace: 'family', name: 'maker', owner: { kind: 'user', id: '1' } };
    const maker = (await as(gatehouse.rootKey, 'KeyService/CreateKey', inFamily)).body;
    const child = (await as(maker.secret, 'KeyService/CreateKey', { ...inFamily, name: 'the child' })).body;

    const alone = await cli(['keys', 'revoke', maker.key.id]);
    expect(alone.stdout).toMatch(/^Keys that it made, or that those made, and that still live: 1$/m);
    expect(alone.stdout).toMatch(new RegExp(`^${child.key.id} +the child `, 'm'));
    const family = await cli(['keys', 'revoke', maker.key.id, '--include-descendants', '--reason', 'leaked']);
    expect(family.stdout).not.toContain('still live');
    expect((await json(['keys', 'get', child.key.id])).key).toMatchObject({
      state: 'KEY_STATE_REVOKED',
      revokeReason: 'leaked',
    });
  });
});

test('keys revoke revokes for good, and again without harm', async () => {
  const { key } = await createKey('revoked');
  const { code, stdout } = await cli(['keys', 'revoke', key.id, '--reason', 'lost laptop']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^state +revoked$/m);
  expect(stdout).toMatch(/^revoke reason +lost laptop$/m);
  const again = await json(['keys', 'revoke', key.id]);
  expect(again.key).toMatchObject({ state: 'KEY_STATE_REVOKED', revokeReason: 'lost laptop' });
});

describe('the key to call with', () => {
  test('comes from --key-file, GATEHOUSE_KEY_FILE or the root key of the settings', async () => {
    const file = join(gatehouse.folder, 'key.txt');
    writeFileSync(file, `${gatehouse.rootKey}\n`);
    const list = ['keys', 'list', '--owner', 'team:nobody', '--server', gatehouse.grpc];
    expect((await runCli([...list, '--key-file', file])).code).toBe(0);
    expect((await runCli(list, { env: { GATEHOUSE_KEY_FILE: file } })).code).toBe(0);
    expect((await runCli(list, { env: { GATEHOUSE_ROOT_KEY: gatehouse.rootKey } })).code).toBe(0);
    expect(
      (await runCli(list, { env: { GATEHOUSE_ROOT_KEY: 'x', GATEHOUSE_KEY: gatehouse.rootKey } })).code,
    ).toBe(0);
  });

  test('that is missing, or given twice, is a mistake', async () => {
    const none = await runCli(['keys', 'list', '--server', gatehouse.grpc]);
    expect(none.code).toBe(1);
    expect(none.stderr).toMatch(/^error: no key to call with: set GATEHOUSE_KEY/);
    const both = await cli(['keys', 'list'], { env: { GATEHOUSE_KEY_FILE: '/nowhere' } });
    expect({ code: both.code, stderr: both.stderr }).toEqual({
      code: 1,
      stderr: 'error: GATEHOUSE_KEY and GATEHOUSE_KEY_FILE are both set; set one\n',
    });
  });

  test('that is wrong ends with 3 and is never shown', async () => {
    for (const key of ['ghm_wrong-0123456789-0123456789-0123456789', 'no key at all \u001b[1m']) {
      const { code, stdout, stderr } = await cli(['keys', 'list'], { env: { GATEHOUSE_KEY: key } });
      expect({ code, stdout }).toEqual({ code: key.startsWith('ghm_') ? 3 : 1, stdout: '' });
      expect(stderr).toMatch(/^error: [^\n]+\n$/);
      expect(stderr).not.toContain(key);
    }
  });
});
