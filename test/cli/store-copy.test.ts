/** `gatehouse store copy` between real stores, with real services before and after it. */

import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { openStore } from '../../src/storage/open.ts';
import { type All, allOf } from '../conformance/moved-samples.ts';
import { failingStart } from '../support/failing-start.ts';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';
import { LONG } from '../support/long.ts';
import { dropDatabase, inDatabase, MONGOD, startMongo } from '../support/mongodb.ts';
import { BIN, bytesIn, interruptedCopy, movedInto, startCopy, storeMany } from './copying.ts';
import { type Ended, runCli } from './run-cli.ts';

const server = inject('mongodb');
const PEPPERS = `p1:${Buffer.alloc(32, 7).toString('base64')}`;
const MANY = LONG ? 2000 : 1000;

let folder: string;
const databases: string[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-copy-'));
});
afterAll(async () => {
  for (const uri of databases) await dropDatabase(uri);
  rmSync(folder, { recursive: true, force: true });
});

function newFile(): string {
  return join(folder, randomUUID(), 'gatehouse.db');
}

function newDatabase(): string {
  const uri = inDatabase(server, `copy-${randomUUID()}`);
  databases.push(uri);
  return uri;
}

function copy(from: string, to: string, ...more: readonly string[]): Promise<Ended> {
  return runCli(['store', 'copy', '--from', from, '--to', to, ...more]);
}

/** Lets a service run over a store and stops it. */
async function serving<Answer>(
  location: string,
  use: (gatehouse: Gatehouse) => Promise<Answer>,
  env: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const store = location.startsWith('mongodb') ? { MONGODB_URI: location } : { GATEHOUSE_DATA: location };
  const gatehouse = await startGatehouse({ env: { GATEHOUSE_PEPPERS: PEPPERS, ...store, ...env } });
  try {
    return await use(gatehouse);
  } finally {
    await gatehouse.stop();
    await gatehouse.remove();
  }
}

/** All that a store holds. */
async function contents(location: string): Promise<All> {
  const store = await openStore(location, { existing: true });
  try {
    return await allOf(store);
  } finally {
    await store.close();
  }
}

async function call(gatehouse: Gatehouse, method: string, body: object, key = gatehouse.rootKey) {
  const answer = await callJson(gatehouse, method, body, { key });
  if (answer.status !== 200) throw new Error(`${method}: ${answer.status} ${answer.body?.message}`);
  return answer.body;
}

/** How a token is judged, without counting a use. */
async function statusOf(gatehouse: Gatehouse, token: string, key?: string): Promise<string> {
  return (await call(gatehouse, 'AuthService/Verify', { token, explain: true }, key)).status;
}

async function verifySome(gatehouse: Gatehouse, tokens: readonly string[]): Promise<void> {
  for (const token of tokens.filter((_, index) => index % (MANY / 20) === 0)) {
    expect(await statusOf(gatehouse, token)).toBe('VERIFY_STATUS_VALID');
  }
}

/** An embedded store with many keys, made when the first test asks. */
let madeMany: Promise<{ readonly file: string; readonly tokens: readonly string[] }> | undefined;
function many() {
  madeMany ??= (async () => {
    const file = newFile();
    await serving(file, async () => undefined);
    const store = await openStore(file);
    const tokens = await storeMany(store, MANY);
    await store.close();
    return { file, tokens };
  })();
  return madeMany;
}

test('a copy to a disk that is full says so in one line, and goes on when there is room', async () => {
  const { file } = await many();
  const target = newFile();
  // With the signal ignored, a write beyond the limit fails as one on a broken disk does.
  const limited = 'trap "" XFSZ; ulimit -f 3000; exec "$0" "$@"';
  const args = [process.execPath, BIN, 'store', 'copy', '--from', file, '--to', target];
  const { status, stdout, stderr } = spawnSync('/bin/sh', ['-c', limited, ...args], { encoding: 'utf8' });
  expect({ status, stdout }).toEqual({ status: 4, stdout: '' });
  const line = `error: the data file ${target} cannot be (read or written|written: the disk is full); the copy is unfinished, and the same command goes on where it was\n$`;
  expect(stderr).toMatch(new RegExp(line));
  expect((await copy(file, target)).stdout).toMatch(
    /^copied to .+, of which [1-9]\d+ records by an earlier run; /,
  );
  expect(await contents(target)).toEqual(await contents(file));
}, 60_000);

describe.skipIf(server === '')('a copy between an embedded store and MongoDB', () => {
  test('holds the same keys, keyspaces, uses, events and root key, there and back', async () => {
    const [file, uri, back] = [newFile(), newDatabase(), newFile()];
    const tokens: Record<string, string> = {};
    const generated = { GATEHOUSE_ROOT_KEY: '' };
    let rootKey = '';

    const judged = (gatehouse: Gatehouse) =>
      Promise.all(
        Object.entries(tokens).map(async ([name, token]) => [
          name,
          await statusOf(gatehouse, token, rootKey),
        ]),
      );
    const before = await serving(
      file,
      async (gatehouse) => {
        [rootKey = ''] = /ghm_[A-Za-z0-9]{43}/.exec(gatehouse.output().stderr) ?? [];
        const root = (method: string, body: object) => call(gatehouse, method, body, rootKey);
        const format = { alphabet: 'ALPHABET_BASE62', secretLength: 40 };
        for (const hash of ['HMAC_SHA256', 'ARGON2ID']) {
          const id = hash.toLowerCase().replace('_', '-');
          await root('KeyspaceService/CreateKeyspace', {
            keyspace: { ...format, id, prefix: `${id}_`, hash: `HASH_ALGORITHM_${hash}` },
          });
        }
        const make = async (name: string, keyspace: string, more: object = {}) => {
          const { key, secret } = await root('KeyService/CreateKey', { keyspace, name, ...more });
          tokens[name] = secret;
          return key.id as string;
        };
        await make('plain', 'default', { owner: { kind: 'user', id: '42' }, project: 'web' });
        await make('peppered', 'hmac-sha256', { metadata: { 'a.b': '$set', note: "it's" } });
        await make('slow', 'argon2id', { permissions: ['docs:*'], allowedCidrs: ['10.0.0.0/8'] });
        await make('expired', 'default', { expireTime: new Date(Date.now() + 1500).toISOString() });
        const disabled = await make('disabled', 'default');
        await root('KeyService/UpdateKey', { key: { id: disabled, disabled: true }, updateMask: 'disabled' });
        await root('KeyService/RevokeKey', { id: await make('revoked', 'hmac-sha256'), reason: 'lost' });
        for (const name of ['plain', 'plain', 'peppered']) {
          await root('AuthService/Verify', { token: tokens[name] });
        }
        await expect
          .poll(() => statusOf(gatehouse, tokens.expired ?? '', rootKey), { timeout: 10_000 })
          .toBe('VERIFY_STATUS_EXPIRED');
        return judged(gatehouse);
      },
      generated,
    );
    expect(new Set(before.map(([, status]) => status)).size).toBe(5);
    const held = await contents(file);
    expect(held.usage.map(({ count }) => count).sort()).toContain(2);

    const there = await copy(file, uri);
    expect(there).toMatchObject({ code: 0, stderr: expect.stringMatching(/^(copying|verifying): /) });
    expect(there.stdout).toMatch(
      /^copied to MongoDB at \S+; both stores were read again and hold the same\n/,
    );
    expect(there.stdout).toMatch(new RegExp(`^key +${held.key.length} +[0-9a-f]{64}$`, 'm'));
    expect(await contents(uri)).toEqual(held);
    await serving(
      uri,
      async (gatehouse) => {
        expect(gatehouse.output().stderr).toContain('1 root key');
        expect(await judged(gatehouse)).toEqual(before);
        await call(gatehouse, 'AuthService/Verify', { token: tokens.plain }, rootKey);
        const more = { keyspace: 'default', name: 'made over MongoDB' };
        tokens.added = (await call(gatehouse, 'KeyService/CreateKey', more, rootKey)).secret;
      },
      generated,
    );

    const changed = await contents(uri);
    expect(changed.key).toHaveLength(held.key.length + 1);
    expect((await copy(uri, back)).code).toBe(0);
    expect(await contents(back)).toEqual(changed);
    await serving(
      back,
      async (gatehouse) => {
        expect(await judged(gatehouse)).toEqual([...before, ['added', 'VERIFY_STATUS_VALID']]);
      },
      generated,
    );
  }, 60_000);

  test('that is killed twice goes on where it was, to MongoDB, and nobody serves half of it', async () => {
    const { file, tokens } = await many();
    const uri = newDatabase();
    const held = await contents(file);
    const records = Object.values(held).flat().length;
    for (const part of [0, 0.5]) {
      const place = records * (part + Math.random() / 2);
      const { signal } = await interruptedCopy(file, uri, async () => ((await movedInto(uri)) ?? 0) >= place);
      expect({ place, signal }).toEqual({ place, signal: 'SIGKILL' });
      const { code, lines } = failingStart({ MONGODB_URI: uri });
      expect(code).toBe(1);
      expect(lines).toHaveLength(1);
      expect(lines[0]).toMatch(/^gatehouse: MongoDB at \S+ holds an unfinished copy of another store: /);
    }
    const ended = await copy(file, uri);
    expect(ended.code).toBe(0);
    expect(ended.stdout).toMatch(/^copied to .+, of which [1-9]\d+ records by an earlier run; /);
    expect(await contents(uri)).toEqual(held);
    await serving(uri, (gatehouse) => verifySome(gatehouse, tokens));
  }, 90_000);

  test('that is killed twice goes on where it was, to a file, and nobody serves half of it', async () => {
    const { file, tokens } = await many();
    const [uri, back] = [newDatabase(), newFile()];
    expect((await copy(file, uri)).code).toBe(0);
    const bytes = bytesIn(join(file, '..'));
    for (const part of [0, 0.4]) {
      const place = bytes * (part + Math.random() * 0.4);
      const { signal } = await interruptedCopy(
        uri,
        back,
        () => existsSync(back) && bytesIn(join(back, '..')) >= place,
      );
      expect({ place, signal }).toEqual({ place, signal: 'SIGKILL' });
    }
    const { code, lines } = failingStart({ GATEHOUSE_DATA: back });
    expect({ code, lines }).toEqual({
      code: 1,
      lines: [
        `gatehouse: the data file ${back} holds an unfinished copy of another store: run the same \`gatehouse store copy\` again to finish it`,
      ],
    });
    expect(await copy(back, newDatabase())).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/unfinished/),
    });
    expect((await copy(uri, back)).code).toBe(0);
    expect(await contents(back)).toEqual(await contents(file));
    await serving(back, (gatehouse) => verifySome(gatehouse, tokens));
  }, 90_000);

  test.each(['SIGINT', 'SIGTERM'] as const)(
    'ends at %s with a line, and goes on',
    async (signal) => {
      const { file } = await many();
      const uri = newDatabase();
      const ended = await interruptedCopy(file, uri, async () => ((await movedInto(uri)) ?? 0) > 500, signal);
      expect(ended.signal).toBe(signal);
      expect(ended.stdout).toBe('');
      expect(ended.stderr).toMatch(/\ninterrupted; the same command goes on where it was\n$/);
      const moved = await movedInto(uri);
      const { stdout } = await copy(file, uri, '--json');
      const { resumedAfter, records } = JSON.parse(stdout);
      expect(resumedAfter).toBe(moved);
      expect(records).toContainEqual({
        kind: 'secret',
        count: MANY + 1,
        digest: expect.stringMatching(/^[0-9a-f]{64}$/),
      });
    },
    60_000,
  );

  test.skipIf(MONGOD === '')(
    'outlives the loss of the server: one line, and the same command goes on',
    async () => {
      const { file } = await many();
      const mongo = await startMongo();
      try {
        const uri = mongo.uri('copy');
        const copying = startCopy(file, uri);
        await copying.until(async () => ((await movedInto(uri)) ?? 0) > 1000);
        await mongo.kill();
        const { code, stdout, stderr } = await copying.ended;
        expect({ code, stdout }).toEqual({ code: 4, stdout: '' });
        expect(stderr).toMatch(
          /\nerror: MongoDB at 127\.0\.0\.1:\d+\/copy cannot answer now; the copy is unfinished, and the same command goes on where it was\n$/,
        );
        await mongo.start();
        expect((await copy(file, uri)).code).toBe(0);
        expect(await contents(uri)).toEqual(await contents(file));
      } finally {
        await mongo.remove();
      }
    },
    60_000,
  );
});
