import { create } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KeyService, RevokeKeysResponseSchema } from '../../src/gen/gatehouse/v1/key_service_pb.js';
import { startFake } from '../client/fake-server.ts';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';
import { jsonAgainst, type RunOptions, runAgainst } from './run-cli.ts';

let gatehouse: Gatehouse;

beforeAll(async () => {
  gatehouse = await startGatehouse();
  for (const id of ['one', 'two']) await createKeyspace(id);
});
afterAll(() => gatehouse?.remove());

const cli = (args: string[], options: RunOptions = {}) => runAgainst(gatehouse, args, options);
const json = (args: string[]) => jsonAgainst(gatehouse, args);
const revokeAll = (...args: string[]) => cli(['keys', 'revoke-all', ...args]);

async function createKeyspace(id: string): Promise<void> {
  const format = { alphabet: 'ALPHABET_HEX', secretLength: 32, hash: 'HASH_ALGORITHM_SHA256' };
  const { status } = await callJson(
    gatehouse,
    'KeyspaceService/CreateKeyspace',
    { keyspace: { ...format, id, prefix: `${id}_` } },
    { key: gatehouse.rootKey },
  );
  expect(status).toBe(200);
}

/** @returns ids, the newest first. */
async function createKeys(count: number, owner: string, keyspace = 'default'): Promise<string[]> {
  const ids: string[] = [];
  for (let made = 0; made < count; made += 1) {
    const body = { keyspace, name: `key ${made}`, owner: { kind: 'user', id: owner } };
    const answer = await callJson(gatehouse, 'KeyService/CreateKey', body, { key: gatehouse.rootKey });
    ids.unshift(answer.body.key.id);
  }
  return ids;
}

const stateOf = async (id: string) => (await json(['keys', 'get', id])).key.state;

describe('keys revoke-all', () => {
  test('with --dry-run shows what would be revoked and how to do it, and revokes nothing', async () => {
    const [second = '', first = ''] = await createKeys(2, 'dry');
    const { code, stdout, stderr } = await revokeAll('--owner', 'user:dry', '--dry-run');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^would revoke +2\n\nID +NAME .*\n/);
    expect([...stdout.matchAll(/^key_\w+/gm)].map(([id]) => id)).toEqual([second, first]);
    expect(stdout).toMatch(/\n\nNothing was revoked\. To do it: --expected-count 2 instead of --dry-run\n$/);
    expect(await stateOf(first)).toBe('KEY_STATE_ACTIVE');

    const told = await json(['keys', 'revoke-all', '--owner', 'user:dry', '--dry-run']);
    expect(told).toMatchObject({ count: 2, sample: [{ id: second }, { id: first }], failures: [] });
    expect(told.propagation).toBeUndefined();
  });

  test('revokes every key of an owner, with its reason, and says how far that has reached', async () => {
    const ids = await createKeys(2, 'gone');
    const [other = ''] = await createKeys(1, 'stays');
    const args = ['--owner', 'user:gone', '--expected-count', '2', '--reason', 'left the team'];
    const { code, stdout, stderr } = await revokeAll(...args);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^revoked +2\n/);
    expect(stdout).toMatch(/^effective time +\d{4}-\S+Z\n\nID +NAME /m);
    expect(stdout.match(/^key_\w+ .* revoked /gm)).toHaveLength(2);
    for (const id of ids) {
      expect((await json(['keys', 'get', id])).key).toMatchObject({
        state: 'KEY_STATE_REVOKED',
        revokeReason: 'left the team',
      });
    }
    expect(await stateOf(other)).toBe('KEY_STATE_ACTIVE');
    expect((await revokeAll('--owner', 'user:gone', '--yes')).stdout).toMatch(/^revoked +0\n/);
  });

  test('of another number than --expected-count revokes nothing', async () => {
    const [id = ''] = await createKeys(1, 'count');
    for (const more of [[], ['--dry-run']]) {
      const { code, stdout, stderr } = await revokeAll(
        '--owner',
        'user:count',
        '--expected-count',
        '2',
        ...more,
      );
      expect([code, stdout]).toEqual([3, '']);
      expect(stderr).toBe(
        'error: 1 key matches, not 2; this call revoked nothing (FAILED_PRECONDITION, COUNT_MISMATCH)\n',
      );
    }
    expect(await stateOf(id)).toBe('KEY_STATE_ACTIVE');
  });

  test('without --dry-run, --expected-count or --yes revokes nothing', async () => {
    const [id = ''] = await createKeys(1, 'unsaid');
    const { code, stdout, stderr } = await revokeAll('--owner', 'user:unsaid');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^error: this revokes for good: look with --dry-run first/);
    expect(await stateOf(id)).toBe('KEY_STATE_ACTIVE');
  });

  test('of an owner with --keyspace leaves the same name in another keyspace alone', async () => {
    const [here = ''] = await createKeys(1, 'twice', 'one');
    const [there = ''] = await createKeys(1, 'twice', 'two');
    expect((await json(['keys', 'revoke-all', '--owner', 'user:twice', '--dry-run'])).count).toBe(2);
    const args = ['--owner', 'user:twice', '--keyspace', 'one', '--yes'];
    expect((await json(['keys', 'revoke-all', ...args])).count).toBe(1);
    expect([await stateOf(here), await stateOf(there)]).toEqual(['KEY_STATE_REVOKED', 'KEY_STATE_ACTIVE']);
  });

  test('with --all revokes a whole keyspace, and shows the newest where they are many', async () => {
    await createKeyspace('crowd');
    const ids = await createKeys(21, 'a', 'crowd');
    const [other = ''] = await createKeys(1, 'a');
    const { code, stdout } = await revokeAll('--all', '--keyspace', 'crowd', '--expected-count', '21');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^revoked +21\n/);
    expect(stdout).toMatch(/^The newest 20:\n\nID /m);
    expect([...stdout.matchAll(/^key_\w+/gm)].map(([id]) => id)).toEqual(ids.slice(0, 20));
    expect(await stateOf(ids.at(-1) ?? '')).toBe('KEY_STATE_REVOKED');
    expect(await stateOf(other)).toBe('KEY_STATE_ACTIVE');
  });

  test('with --all and no keyspace reaches those alone that the key may revoke in', async () => {
    const [one = ''] = await createKeys(1, 'reach', 'one');
    const [two = ''] = await createKeys(1, 'reach', 'two');
    const { secret } = await json([
      'keys',
      'create',
      '--keyspace',
      'gatehouse',
      '--name',
      'k',
      '--permission',
      'keys:revoke@two',
    ]);
    const narrowed = { env: { GATEHOUSE_KEY: secret } };
    expect((await cli(['keys', 'revoke-all', '--all', '--yes'], narrowed)).code).toBe(0);
    expect([await stateOf(one), await stateOf(two)]).toEqual(['KEY_STATE_ACTIVE', 'KEY_STATE_REVOKED']);
    const outside = await cli(['keys', 'revoke-all', '--all', '--keyspace', 'one', '--yes'], narrowed);
    expect([outside.code, outside.stderr]).toEqual([3, expect.stringMatching(/\(NOT_FOUND\)\n$/)]);
  });

  test.each([
    ['an unknown keyspace', ['--all', '--keyspace', 'nowhere'], /"nowhere" was not found \(NOT_FOUND\)\n$/],
    ['the management keys', ['--all', '--keyspace', 'gatehouse'], /RESERVED_KEYSPACE\)\n$/],
    ['a kind that is none', ['--owner', 'User:1'], /^ {2}owner\.kind: must be an owner kind/m],
  ])('of %s is refused', async (_, args, message) => {
    for (const more of ['--yes', '--dry-run']) {
      const { code, stdout, stderr } = await revokeAll(...args, more);
      expect([code, stdout]).toEqual([3, '']);
      expect(stderr).toMatch(message);
    }
  });

  test('shows what could repaint the terminal as escapes', async () => {
    await createKeys(1, '\u202eowner\u200b');
    for (const more of [['--dry-run'], ['--dry-run', '--json'], ['--yes']]) {
      const { stdout } = await revokeAll('--owner', 'user:\u202eowner\u200b', ...more);
      expect(stdout).toContain('\\u202eowner\\u200b');
      expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    }
  });

  test('names the keys that a server could not revoke, and ends with 4', async () => {
    const error = { code: 14, message: 'the store is \u001b[31mbusy' };
    const answer = create(RevokeKeysResponseSchema, { count: 1, failures: [{ keyId: 'key_left', error }] });
    const fake = await startFake(KeyService.method.revokeKeys, () => answer);
    try {
      const { code, stdout, stderr } = await runAgainst({ grpc: fake.address, rootKey: gatehouse.rootKey }, [
        ...['keys', 'revoke-all', '--owner', 'user:1', '--yes'],
      ]);
      expect([code, stderr]).toEqual([4, '']);
      expect(stdout).toMatch(/^NOT REVOKED +WHY\nkey_left +the store is \\u001b\[31mbusy$/m);
    } finally {
      fake.stop();
    }
  });
});
