/**
 * 6,000 keys (GATEHOUSE_TEST_LONG=1: 20,000) over MongoDB's protocol: create, list, verify, revoke. As scale.test.ts, as far as the tests' server goes: it
 * reads an index from end to end whatever is asked, so most keys are written past the API, and nothing is timed. It has that
 * server to itself, for it would leave little of a shared one to others.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Key, Secret } from '../../src/domain/key.ts';
import type { Keyspace } from '../../src/domain/keyspace.ts';
import { mintToken } from '../../src/domain/token.ts';
import { BATCH } from '../../src/storage/movable-store.ts';
import { openStore } from '../../src/storage/open.ts';
import { Secrets } from '../../src/verification/secrets.ts';
import { sampleKey, sampleSecret } from '../conformance/samples.ts';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';
import { LONG } from '../support/long.ts';
import { MONGOD, type MongoServer, startMongo } from '../support/mongodb.ts';

const KEYS = LONG ? 20_000 : 6000;
/** Of those, made by CreateKey. */
const CREATED = 300;
const OWNERS = 80;
const PROJECTS = 200;
const IN_FLIGHT = 4;
/** Its server may be too busy for a call. */
const TRIES = 10;
const HOUR_MS = 3_600_000;

let server: MongoServer;
let gatehouse: Gatehouse;
const tokens: string[] = [];
const ids: string[] = [];

/** What the key with this number is like: `name`, owner and project, as CreateKey takes them. */
function planOf(index: number) {
  return {
    name: `key ${index}`,
    owner: { kind: 'user', id: `u${index % OWNERS}` },
    project: `p${index % PROJECTS}`,
  };
}

const indexesOf = (remainder: number, divisor: number) =>
  ids.filter((_id, index) => index % divisor === remainder);

async function inParallel(count: number, job: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await job(next++);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
}

async function call(method: string, body: unknown) {
  const answer = await callJson(gatehouse, method, body, { key: gatehouse.rootKey, tries: TRIES });
  if (answer.status !== 200) throw new Error(`${method}: ${answer.status} ${answer.body?.message}`);
  return answer.body;
}

async function create(index: number): Promise<void> {
  const { key, secret } = await call('KeyService/CreateKey', { keyspace: 'default', ...planOf(index) });
  tokens[index] = secret;
  ids[index] = key.id;
}

/** A key of an hour ago, several of them in each millisecond, and its secret. */
async function pastKey(index: number, keyspace: Keyspace, secrets: Secrets): Promise<[Key, Secret]> {
  const token = mintToken(keyspace);
  const createTime = Date.now() - HOUR_MS + Math.floor(index / 7);
  const displayPrefix = token.slice(0, keyspace.displayLength);
  const key = sampleKey({
    ...planOf(index),
    keyspace: keyspace.id,
    createTime,
    updateTime: createTime,
    displayPrefix,
  });
  tokens[index] = token;
  ids[index] = key.id;
  return [key, sampleSecret(key, await secrets.seal(keyspace, token))];
}

/** Writes the keys of these numbers as a copy from another store would. */
async function put(from: number, to: number): Promise<void> {
  const store = await openStore(server.uri('scale'));
  const keyspace = (await store.listKeyspaces()).find(({ id }) => id === 'default');
  if (keyspace === undefined) throw new Error('there is no keyspace to put keys into');
  const secrets = new Secrets([]);
  for (let start = from; start < to; start += BATCH) {
    const indexes = Array.from({ length: Math.min(BATCH, to - start) }, (_, offset) => start + offset);
    const made = await Promise.all(indexes.map((index) => pastKey(index, keyspace, secrets)));
    await Promise.all([
      store.putRecords(
        'key',
        made.map(([key]) => key),
      ),
      store.putRecords(
        'secret',
        made.map(([, secret]) => secret),
      ),
    ]);
  }
  await store.close();
}

/** Walks a listing to its end. @returns the ids met. */
async function walk(question: object): Promise<string[]> {
  const met: string[] = [];
  let pageToken = '';
  do {
    const { keys, nextPageToken } = await call('KeyService/ListKeys', { ...question, pageToken });
    met.push(...keys.map((key: { id: string }) => key.id));
    pageToken = nextPageToken;
  } while (pageToken !== '');
  return met;
}

describe.skipIf(MONGOD === '')(`with ${KEYS} keys over MongoDB`, () => {
  beforeAll(async () => {
    server = await startMongo();
    const env = { MONGODB_URI: server.uri('scale'), GATEHOUSE_LOG_LEVEL: 'warn' };
    gatehouse = await startGatehouse({ env });
    await inParallel(CREATED, create);
    await put(CREATED, KEYS);
  }, 240_000);
  afterAll(async () => {
    await gatehouse?.remove();
    await server?.remove();
  });

  test('every one has an id and a secret of its own', () => {
    expect(new Set(ids).size).toBe(KEYS);
    expect(new Set(tokens).size).toBe(KEYS);
  });

  test('an owner’s and a project’s keys are listed completely, newest first, and counted', async () => {
    const owner = { kind: 'user', id: 'u7' };
    const owned = await walk({ owner, pageSize: 100 });
    expect(new Set(owned)).toEqual(new Set(indexesOf(7, OWNERS)));
    expect(owned).toHaveLength(KEYS / OWNERS);
    const ofProject = await walk({ project: 'p7', pageSize: 40 });
    expect(new Set(ofProject)).toEqual(new Set(indexesOf(7, PROJECTS)));
    const { keys, totalSize, activeSize } = await call('KeyService/ListKeys', {
      keyspace: 'default',
      owner,
      pageSize: 1000,
      withTotals: true,
    });
    expect([totalSize, activeSize]).toEqual([KEYS / OWNERS, KEYS / OWNERS]);
    const times = keys.map((key: { createTime: string }) => Date.parse(key.createTime));
    expect(times).toEqual([...times].sort((one, other) => other - one));
    expect(keys.map((key: { id: string }) => key.id)).toEqual(owned);
  }, 60_000);

  test('filters find just what they name, among all', async () => {
    const find = (question: object) => walk({ keyspace: 'default', ...question });
    expect(new Set(await find({ nameContains: 'KEY 1234' }))).toEqual(
      new Set(ids.filter((_id, index) => `${index}`.startsWith('1234'))),
    );
    const displayPrefix = tokens[4321]?.slice(0, 12);
    const { body } = await callJson(
      gatehouse,
      'KeyService/GetKey',
      { id: ids[4321] },
      { key: gatehouse.rootKey },
    );
    expect(await find({ displayPrefix: body.key.displayPrefix })).toContain(ids[4321]);
    expect(body.key.displayPrefix.startsWith(displayPrefix?.slice(0, 5))).toBe(true);
    const middle = new Date(Date.now() - HOUR_MS / 2).toISOString();
    expect(new Set(await find({ createdAfter: middle, pageSize: 1000 }))).toEqual(
      new Set(ids.slice(0, CREATED)),
    );
    expect(await find({ states: ['KEY_STATE_REVOKED'] })).toEqual([]);
    const { totalSize } = await call('KeyService/ListKeys', { createdBefore: middle, withTotals: true });
    expect(totalSize).toBe(KEYS - CREATED);
  }, 60_000);

  test('a walk to the end meets each key once while others are being created', async () => {
    let walking = true;
    let late = 0;
    const creating = (async () => {
      // One that the server is too busy for is none that must be met.
      const body = { keyspace: 'default', name: 'late' };
      while (walking) {
        const { status } = await callJson(gatehouse, 'KeyService/CreateKey', body, {
          key: gatehouse.rootKey,
        });
        if (status === 200) late++;
      }
    })();
    const met = await walk({ keyspace: 'default', pageSize: 1000 });
    walking = false;
    await creating;
    expect(late).toBeGreaterThan(0);
    const old = new Set(ids);
    expect(met.filter((id) => old.has(id))).toHaveLength(KEYS);
    expect(new Set(met).size).toBe(met.length);
  }, 240_000);

  test('keys verify, are revoked, and then are refused', async () => {
    const sample = Array.from({ length: 200 }, (_, index) => index * Math.floor(KEYS / 201));
    const verify = async () => {
      const statuses = new Set<string>();
      // As many at once as the tests' server answers within half a second.
      for (let from = 0; from < sample.length; from += 40) {
        const requests = sample.slice(from, from + 40).map((index) => ({ token: tokens[index] }));
        const { results } = await call('AuthService/VerifyBatch', { requests });
        for (const { response, error } of results) statuses.add(response?.status ?? error?.message);
      }
      return [...statuses];
    };
    expect(await verify()).toEqual(['VERIFY_STATUS_VALID']);
    await inParallel(sample.length, async (index) => {
      await call('KeyService/RevokeKey', { id: ids[sample[index] ?? -1] });
    });
    expect(await verify()).toEqual(['VERIFY_STATUS_REVOKED']);
    const revoked = await walk({ keyspace: 'default', states: ['KEY_STATE_REVOKED'], pageSize: 1000 });
    // A key whose maker could not be judged again in time, while others walked, was revoked at once.
    const made = new Set(ids);
    expect(new Set(revoked.filter((id) => made.has(id)))).toEqual(new Set(sample.map((index) => ids[index])));
  }, 120_000);
});
