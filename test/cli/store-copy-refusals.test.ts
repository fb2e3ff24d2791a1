/** What `gatehouse store copy` refuses, in one line, before it changes anything. */

import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { openStore } from '../../src/storage/open.ts';
import { allOf, fill } from '../conformance/moved-samples.ts';
import { startGatehouse } from '../support/gatehouse.ts';
import { dropDatabase, inDatabase, readDatabase, withDatabase } from '../support/mongodb.ts';
import { type RunOptions, runCli } from './run-cli.ts';

const server = inject('mongodb');

let folder: string;
let source: string;
const databases: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-copy-'));
  source = await filledFile();
});
afterAll(async () => {
  for (const uri of databases) await dropDatabase(uri);
  rmSync(folder, { recursive: true, force: true });
});

function newFile(): string {
  return join(folder, `${randomUUID()}.db`);
}

function newDatabase(): string {
  const uri = inDatabase(server, `copy-${randomUUID()}`);
  databases.push(uri);
  return uri;
}

async function filledFile(): Promise<string> {
  const file = newFile();
  const store = await openStore(file);
  await fill(store);
  await store.close();
  return file;
}

/** Runs a copy that must fail. @returns its line. */
async function refusal(from: string, to: string, options?: RunOptions, expected = 1): Promise<string> {
  const { code, stdout, stderr } = await runCli(['store', 'copy', '--from', from, '--to', to], options);
  expect({ code, stdout, stderr }).toEqual({
    code: expected,
    stdout: '',
    stderr: expect.stringMatching(/^error: [^\n]+\n$/),
  });
  return stderr.slice('error: '.length, -1);
}

describe('a source that is not there', () => {
  test('is not made', async () => {
    const [missing, target] = [newFile(), newFile()];
    expect(await refusal(missing, target)).toBe(`there is no data file ${missing}`);
    expect([existsSync(missing), existsSync(target)]).toEqual([false, false]);
  });

  test('is no empty file, and no other program’s', async () => {
    const empty = newFile();
    writeFileSync(empty, '');
    expect(await refusal(empty, newFile())).toBe(`the data file ${empty} is empty`);
    const other = newFile();
    writeFileSync(other, 'quite some other text, '.repeat(1000));
    expect(await refusal(other, newFile())).toBe(`the data file ${other} is not a Gatehouse data file`);
  });

  test.skipIf(server === '')('is no database without a store, and none is made', async () => {
    const uri = newDatabase();
    expect(await refusal(uri, newFile())).toMatch(/^MongoDB at \S+ holds no store of Gatehouse$/);
    expect(await readDatabase(uri)).toEqual({});
  });
});

test('a store that a service runs over is no source and no target', async () => {
  const gatehouse = await startGatehouse({ env: { MONGODB_URI: '' } });
  try {
    const file = join(gatehouse.folder, 'gatehouse.db');
    const line = `the data file ${file} is in use by another Gatehouse process`;
    expect(await refusal(file, newFile())).toBe(line);
    expect(await refusal(source, file)).toBe(line);
  } finally {
    await gatehouse.remove();
  }
});

describe('a target', () => {
  test('that holds a store is left as it is', async () => {
    const target = await filledFile();
    const before = await contents(target);
    expect(await refusal(source, target)).toBe(`the data file ${target} is not empty; name an empty target`);
    expect(await contents(target)).toEqual(before);
  });

  test('that is the finished copy is said to be so', async () => {
    const target = newFile();
    expect((await runCli(['store', 'copy', '--from', source, '--to', target])).code).toBe(0);
    const line = `the data file ${target} is the data file ${source} itself, or holds a copy of it, perhaps without its latest changes; nothing was copied; name an empty target`;
    expect(await refusal(source, target)).toBe(line);
  });

  test('with an unfinished copy of another store is refused', async () => {
    const target = newFile();
    const store = await openStore(target);
    await store.writeCopyNote(JSON.stringify({ source: 'another', moved: 7 }), undefined);
    await store.close();
    expect(await refusal(source, target)).toBe(
      `the data file ${target} holds an unfinished copy of another store; name an empty target`,
    );
  });

  test('that is the source is refused, however it is written', async () => {
    const line = '--from and --to name the same store';
    expect(await refusal(source, `sqlite:${source}`)).toBe(line);
    expect(await refusal(source, join(folder, 'x', '..', source.slice(folder.length)))).toBe(line);
  });

  test('that was only just made is good: of any command, and of a service that never started', async () => {
    const target = newFile();
    await (await openStore(target)).close();
    expect((await runCli(['store', 'copy', '--from', source, '--to', `sqlite:${target}`])).code).toBe(0);
    expect(await contents(target)).toEqual(await contents(source));
  });

  test.skipIf(server === '')('in MongoDB must be empty as well', async () => {
    const filled = newDatabase();
    const store = await openStore(filled);
    await fill(store);
    await store.close();
    const before = await readDatabase(filled);
    expect(await refusal(source, filled)).toMatch(/^MongoDB at \S+ is not empty; name an empty target$/);
    expect(await readDatabase(filled)).toEqual(before);
    const foreign = newDatabase();
    await withDatabase(foreign, (database) => database.collection('keys').insertOne({ theirs: true }));
    expect(await refusal(source, foreign)).toMatch(/has a collection "keys" of another program/);
  });
});

describe('a place', () => {
  test.each([
    ':memory:',
    'postgres://h/d',
    'mongodb://',
    'sqlite:',
    'sqlite://data/gatehouse.db',
    'file:x.db',
    '',
  ])('%j is none', async (place) => {
    const before = readdirSync(folder);
    expect(await refusal(source, place)).toMatch(/^--to must be mongodb:\/\/HOST\/DATABASE, /);
    expect(await refusal(place, newFile())).toMatch(/^--from must be mongodb:\/\/HOST\/DATABASE, /);
    expect(readdirSync(folder)).toEqual(before);
  });

  test('may stand in the environment, and must then', async () => {
    const target = newFile();
    const run = (env: Record<string, string>) => ({ env, cwd: folder });
    expect(await refusal('env:SOURCE', target, run({}))).toBe(
      '--from: SOURCE is not set in the environment (exported?)',
    );
    expect(await refusal('env:SOURCE', target, run({ SOURCE: '' }))).toBe(
      '--from: SOURCE is not set in the environment (exported?)',
    );
    expect(await refusal('env:SOURCE', target, run({ SOURCE: 'redis://u:hunter2@h' }))).toMatch(
      /^--from: SOURCE must be /,
    );
    const { code } = await runCli(
      ['store', 'copy', '--from', 'env:SOURCE', '--to', 'env:TARGET'],
      run({ SOURCE: source, TARGET: target }),
    );
    expect(code).toBe(0);
  });

  test('is told without its password', async () => {
    const uri = 'mongodb://user:hunter2@127.0.0.1:1/keys';
    expect(await refusal('env:SOURCE', newFile(), { env: { SOURCE: uri } }, 4)).toMatch(
      /^MongoDB at 127\.0\.0\.1:1\/keys cannot be (reached|used: \w+)$/,
    );
    const broken = await refusal(source, 'mongodb://user:hunter2@127.0.0.1:none/keys');
    expect(broken).toMatch(/^the URI of MongoDB cannot be read: /);
  });

  test('is explained by --help, with why a password had better be in the environment', async () => {
    const { code, stdout } = await runCli(['store', 'copy', '--help']);
    expect(code).toBe(0);
    for (const text of ['mongodb+srv://', 'sqlite:PATH', 'env:NAME', 'can see arguments']) {
      expect(stdout).toContain(text);
    }
  });

  test('must be given', async () => {
    const { code, stderr } = await runCli(['store', 'copy', '--from', source]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: "error: required option '--to <store>' not specified\n",
    });
  });
});

async function contents(location: string) {
  const store = await openStore(location, { existing: true });
  try {
    return await allOf(store);
  } finally {
    await store.close();
  }
}
