import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { readMessage } from '../../src/cli/json-message.ts';
import { differenceOf } from '../../src/cli/keyspace-difference.ts';
import { readKeyspaces } from '../../src/cli/keyspace-file.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import {
  Alphabet,
  HashAlgorithm,
  KeyspaceSchema,
  OnPartition,
} from '../../src/gen/gatehouse/v1/keyspace_pb.js';

describe('a field that does not fit is named with its path', () => {
  test.each([
    [{ prefx: 'a_' }, 'prefx: Keyspace has no such field; it has id, displayName, prefix'],
    [{ keyDefaults: { permission: [] } }, 'keyDefaults.permission: KeyDefaults has no such field'],
    [{ alphabet: 'HEX' }, 'alphabet: must be one of ALPHABET_HEX, ALPHABET_BASE62'],
    [{ secretLength: 'many' }, 'secretLength: must be a whole number'],
    [{ prefix: 12 }, 'prefix: must be text'],
    [{ checksum: 'yes' }, 'checksum: must be true or false'],
    [{ defaultTtl: '30d' }, 'defaultTtl: must be a duration in seconds, such as "3600s"'],
    [{ selfServiceCallers: 'SELF_SERVICE_CALLER_KEY' }, 'selfServiceCallers: must be a list'],
    [{ selfServiceCallers: ['KEY'] }, 'selfServiceCallers[0]: must be one of SELF_SERVICE_CALLER_KEY'],
    [
      { keyDefaults: { rateLimits: [{ limit: -1 }] } },
      'keyDefaults.rateLimits[0].limit: must be a whole number',
    ],
    [{ sessionIssuers: [{ issuers: 'x' }] }, 'sessionIssuers[0].issuers: SessionIssuer has no such field'],
    [{ denyBodies: { '401': { content: 'x' } } }, 'denyBodies["401"].content: DenyBody has no such field'],
    [{ keyDefaults: [] }, 'keyDefaults: must be the fields of a KeyDefaults'],
    [{ displayName: 'a', display_name: 'b' }, 'display_name: is there twice'],
    [
      { sessionIssuers: [{ jwksUri: 'https://x', secret: 'y' }] },
      "is no Keyspace in protobuf's JSON mapping",
    ],
    ['text', 'must be the fields of a Keyspace'],
    [[], 'must be the fields of a Keyspace'],
  ])('%j', (value, message) => {
    expect(() => readMessage(KeyspaceSchema, value)).toThrow(message);
  });

  test('and one that is prototype-like is unknown as well', () => {
    expect(() => readMessage(KeyspaceSchema, JSON.parse('{"__proto__": {}}'))).toThrow(
      '__proto__: Keyspace has no',
    );
  });
});

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));

test.each(globSync('*/*.yaml', { cwd: EXAMPLES }).sort())('examples/%s can be read', async (file) => {
  const found = await readKeyspaces({ env: {} } as Terminal, EXAMPLES + file);
  expect(found.length).toBe(file.startsWith('auxot') ? 2 : 1);
});

type Init = Omit<MessageInitShape<typeof KeyspaceSchema>, '$typeName'>;

const FORMAT: Init = {
  id: 'acx',
  prefix: 'acx_',
  alphabet: Alphabet.HEX,
  secretLength: 32,
  hash: HashAlgorithm.SHA256,
};

function changedBetween(file: Init, server: Init): string[] {
  const [written, present] = [file, server].map((init) => create(KeyspaceSchema, { ...FORMAT, ...init }));
  if (written === undefined || present === undefined) throw new Error('two keyspaces');
  return differenceOf(written, present).changed.map((field) => field.name);
}

describe('the difference between a file and the server', () => {
  test('is none where the server has written defaults in', () => {
    const server: Init = {
      displayLength: 12,
      cacheTtl: { seconds: 300n },
      negativeTtl: { seconds: 60n },
      clientCacheTtl: {},
      keyDefaults: {},
      credentialHeaders: [2, 1],
      onPartition: OnPartition.STRICT,
      revision: 7n,
      generation: 1n,
      createTime: { seconds: 1n },
    };
    expect(changedBetween({}, server)).toEqual([]);
    expect(changedBetween(server, {})).toEqual([]);
  });

  test('is none where a short secret leaves less to display', () => {
    const short: Init = { alphabet: Alphabet.BASE62, secretLength: 22 };
    expect(changedBetween(short, { ...short, displayLength: 9 })).toEqual([]);
  });

  test('has a field that the file no longer has', () => {
    expect(changedBetween({}, { selfServiceCallers: [1], defaultTtl: { seconds: 5n } })).toEqual([
      'default_ttl',
      'self_service_callers',
    ]);
  });

  test('has a field inside of key_defaults', () => {
    expect(changedBetween({ keyDefaults: { permissions: ['a'] } }, { keyDefaults: {} })).toEqual([
      'key_defaults',
    ]);
  });

  test('tells format fields apart', () => {
    const written = create(KeyspaceSchema, { ...FORMAT, checksum: true, displayName: 'new' });
    const { fixed, changed } = differenceOf(written, create(KeyspaceSchema, FORMAT));
    expect(fixed.map(({ field, file, server }) => [field.name, file, server])).toEqual([
      ['checksum', 'true', 'false'],
    ]);
    expect(changed.map((field) => field.name)).toEqual(['display_name']);
  });
});
