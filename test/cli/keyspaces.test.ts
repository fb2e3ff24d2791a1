import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gatehouse, startGatehouse } from '../support/gatehouse.ts';
import { type RunOptions, runCli } from './run-cli.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));
let gatehouse: Gatehouse;

beforeAll(async () => {
  gatehouse = await startGatehouse();
});
afterAll(() => gatehouse?.remove());

const cli = (args: string[], options: RunOptions = {}) =>
  runCli(['keyspaces', ...args], {
    ...options,
    cwd: gatehouse.folder,
    env: { GATEHOUSE_SERVER: gatehouse.grpc, GATEHOUSE_KEY: gatehouse.rootKey },
  });

/** Applies the text as a file named `file.yaml`. */
function apply(text: string, ...more: string[]) {
  writeFileSync(join(gatehouse.folder, 'file.yaml'), text);
  return cli(['apply', '-f', 'file.yaml', ...more]);
}

const keyspace = (id: string, ...more: string[]) =>
  [
    `id: ${id}`,
    `prefix: ${id}_`,
    'alphabet: ALPHABET_HEX',
    'secretLength: 32',
    'hash: HASH_ALGORITHM_SHA256',
    ...more,
    '',
  ].join('\n');

describe('keyspaces apply', () => {
  test.each([
    ['actumx', 'created actumx\n', 'unchanged actumx\n'],
    ['agent-corex', 'created agent-corex\n', 'unchanged agent-corex\n'],
    ['agentcontainer', 'created agentcontainer\n', 'unchanged agentcontainer\n'],
    [
      'auxot',
      'created auxot-personal\ncreated auxot-team\n',
      'unchanged auxot-personal\nunchanged auxot-team\n',
    ],
    ['commandagi', 'created commandagi\n', 'unchanged commandagi\n'],
  ])(
    'of the file of %s creates what is missing, and then changes nothing',
    async (product, first, second) => {
      const args = ['apply', '--file', `${EXAMPLES}${product}/keyspace.yaml`];
      expect(await cli(args)).toEqual({ code: 0, stdout: first, stderr: '' });
      expect(await cli(args)).toEqual({ code: 0, stdout: second, stderr: '' });
    },
  );

  test('updates just the fields that differ, and takes back what the file no longer says', async () => {
    await apply(
      keyspace(
        'upd',
        'defaultTtl: 3600s',
        'displayName: One',
        'selfServiceCallers: [SELF_SERVICE_CALLER_KEY]',
      ),
    );
    const changed = await apply(keyspace('upd', 'default_ttl: 7200s', 'displayName: One'));
    expect(changed).toEqual({ code: 0, stdout: 'updated upd: defaultTtl, selfServiceCallers\n', stderr: '' });
    const { stdout } = await cli(['get', 'upd', '--json']);
    expect(JSON.parse(stdout).keyspace).toMatchObject({
      defaultTtl: '7200s',
      displayName: 'One',
      selfServiceCallers: [],
      revision: '2',
    });
    expect((await apply(keyspace('upd', 'defaultTtl: 7200s', 'displayName: One'))).stdout).toBe(
      'unchanged upd\n',
    );
  });

  test('takes back what keyspaces get --json printed', async () => {
    await apply(keyspace('trip', 'maxTtl: 86400s', 'keyDefaults: {permissions: [a, b], metadata: {k: v}}'));
    const { keyspace: printed } = JSON.parse((await cli(['get', 'trip', '--json'])).stdout);
    const { code, stdout } = await cli(['apply', '-f', '-'], { stdin: JSON.stringify(printed) });
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'unchanged trip\n' });
  });

  test('refuses a file whose format differs, and then changes nothing of it', async () => {
    await apply(keyspace('fixed'));
    const both = `${keyspace('never')}---\n${keyspace('fixed').replace('32', '40')}`;
    const { code, stdout, stderr } = await apply(both);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toBe(
      'error: file.yaml, document 2: keyspace "fixed" has secretLength 32, which is fixed since it was made; the file says 40\n',
    );
    expect((await cli(['get', 'never'])).code).toBe(3);
  });

  test('tells as JSON what became of each', async () => {
    await apply(keyspace('told'));
    const { code, stdout } = await apply(
      `${keyspace('told', 'displayName: T')}---\n${keyspace('fresh')}`,
      '--json',
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      results: [
        {
          id: 'told',
          outcome: 'updated',
          changedFields: ['displayName'],
          keyspace: { displayName: 'T', revision: '2' },
        },
        { id: 'fresh', outcome: 'created', changedFields: [], keyspace: { checksum: false } },
      ],
    });
  });

  test('shows what the server refuses, and what was done before', async () => {
    const { code, stdout, stderr } = await apply(
      `${keyspace('weak-a')}---\n${keyspace('weak-b').replace('32', '20')}`,
    );
    expect({ code, stdout }).toEqual({ code: 3, stdout: 'created weak-a\n' });
    expect(stderr).toMatch(/\n {2}keyspace.secret_length: .*128/);
  });

  test.each([
    ['a syntax error', 'id: [a\nprefix: b_\n', /^error: file\.yaml: .* at line \d+, column \d+\n$/],
    ['a key that is there twice', 'id: a1\nid: b1\n', /^error: file\.yaml: Map keys must be unique/],
    [
      'an unknown field',
      keyspace('aa', 'defaultTTL: 1s'),
      /^error: file\.yaml: defaultTTL: Keyspace has no such field; /,
    ],
    [
      'a wrong enum',
      keyspace('aa').replace('ALPHABET_HEX', 'HEX'),
      /^error: file\.yaml: alphabet: must be one of ALPHABET_HEX, ALPHABET_BASE62\n$/,
    ],
    [
      'a second document that is wrong',
      `${keyspace('aa')}---\nid: 7\n`,
      /^error: file\.yaml, document 2: id: must be text\n$/,
    ],
    [
      'a keyspace that is there twice',
      `${keyspace('aa')}---\n${keyspace('aa')}`,
      /^error: file\.yaml, document 2: keyspace "aa" is there twice\n$/,
    ],
    ['a keyspace without id', 'prefix: aa_\n', /^error: file\.yaml: id: is missing\n$/],
    ['a list', '- id: aa\n', /^error: file\.yaml: must be the fields of a Keyspace\n$/],
    ['an unknown tag', 'id: !secret aa\n', /^error: file\.yaml: Unresolved tag: !secret at line 1/],
    ['an alias without anchor', 'id: *aa\n', /^error: file\.yaml: /],
    ['nothing', '# empty\n', /^error: file\.yaml: holds no keyspace\n$/],
    [
      'control characters',
      'id: "a\\eb"\n"\\u202e": 1\n',
      /^error: file\.yaml: \\u202e: Keyspace has no such field; /,
    ],
  ])('of a file with %s ends with 1 and one line, nothing made', async (_, text, message) => {
    const { code, stdout, stderr } = await apply(text);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd()).not.toContain('\n');
    expect((await cli(['get', 'aa'])).code).toBe(3);
  });

  test('of a file that is not there, or a folder, ends with 1', async () => {
    expect(await cli(['apply', '-f', 'no.yaml'])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'error: no.yaml: there is no such file\n',
    });
    expect(await cli(['apply', '-f', '.'])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'error: .: cannot be read\n',
    });
  });
});

test('keyspaces list and get show what there is', async () => {
  const { code, stdout } = await cli(['list']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^ID +NAME +PREFIX +FORMAT +HASH/);
  expect(stdout).toMatch(/^default +Default +gate_ +32 base62 \+ checksum +sha256/m);
  const ids = JSON.parse((await cli(['list', '--json'])).stdout).keyspaces.map(
    (one: { id: string }) => one.id,
  );
  expect(ids).toEqual(expect.arrayContaining(['default', 'gatehouse']));
  expect((await cli(['get', 'default'])).stdout).toMatch(/^prefix +gate_$/m);
});

test('keyspaces get shows what holds, and whether the keyspace says so', async () => {
  await apply(keyspace('rem', 'cacheTtl: 30s', 'clientCacheTtl: 0s'));
  const { stdout } = await cli(['get', 'rem']);
  expect(stdout).toMatch(/^cache ttl +30s$/m);
  expect(stdout).toMatch(/^negative ttl +1m \(default\)$/m);
  expect(stdout).toMatch(/^client cache ttl +0s$/m);
  const { stdout: silent } = await cli(['get', 'default']);
  expect(silent).toMatch(/^cache ttl +5m \(default\)$/m);
  expect(silent).toMatch(/^client cache ttl +0s \(default\)$/m);
  expect(JSON.parse((await cli(['get', 'default', '--json'])).stdout).keyspace).not.toHaveProperty(
    'cacheTtl',
  );
});

test('the example in the README can be applied', async () => {
  const readme = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8');
  const [, example = ''] = /```yaml\n(.*?)```/s.exec(readme) ?? [];
  expect(await apply(example)).toEqual({ code: 0, stdout: 'created shop\n', stderr: '' });
});
