/** 100,000 keys on the embedded store: create, list, verify, revoke. */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '../../src/domain/digest.ts';
import { mintToken } from '../../src/domain/token.ts';
import { openSqliteStore } from '../../src/storage/sqlite/open.ts';
import { sampleKey, sampleSecret } from '../conformance/samples.ts';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';
import { partsOver } from '../support/parts.ts';

const KEYS = 100_000;
/** So many of them over the API; the others are there when the service starts. */
const CREATED = 10_000;
const CHUNK = 5000;
const FORMAT = { prefix: 'gate_', alphabet: 'base62', secretLength: 32, checksum: true } as const;
const OWNERS = 400;
const PROJECTS = 1000;
const IN_FLIGHT = 64;
const LIST_P50_MS = 20;

let gatehouse: Gatehouse;
const secrets: string[] = [];
const ids: string[] = [];

/** Runs `job` for 0..count-1, so many at a time. */
async function inParallel(count: number, job: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await job(next++);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
}

async function call(method: string, body: unknown) {
  const answer = await callJson(gatehouse, method, body, { key: gatehouse.rootKey });
  if (answer.status !== 200) throw new Error(`${method}: ${answer.status} ${answer.body?.message}`);
  return answer.body;
}

const described = (index: number) => ({
  keyspace: 'default',
  name: `key ${index}`,
  owner: { kind: 'user', id: `u${index % OWNERS}` },
  project: `p${index % PROJECTS}`,
});

async function fill(folder: string): Promise<void> {
  const store = await openSqliteStore(join(folder, 'gatehouse.db'));
  const parts = await partsOver(store);
  for (let from = CREATED; from < KEYS; from += CHUNK) {
    await Promise.all(
      Array.from({ length: CHUNK }, (_, offset) => {
        const index = from + offset;
        const token = mintToken(FORMAT);
        const key = sampleKey(described(index));
        secrets[index] = token;
        ids[index] = key.id;
        return store.insertKey(key, sampleSecret(key, { lookup: sha256(token) }));
      }),
    );
  }
  await parts.marking.stop();
  await parts.usage.close();
  await store.close();
}

async function create(index: number): Promise<void> {
  const { key, secret } = await call('KeyService/CreateKey', described(index));
  secrets[index] = secret;
  ids[index] = key.id;
}

/** Walks a listing to its end. @returns the ids met, and how long each page took in milliseconds. */
async function walk(question: object): Promise<{ ids: string[]; times: number[] }> {
  const met: string[] = [];
  const times: number[] = [];
  let pageToken = '';
  do {
    const started = performance.now();
    const { keys, nextPageToken } = await call('KeyService/ListKeys', { ...question, pageToken });
    times.push(performance.now() - started);
    met.push(...keys.map((key: { id: string }) => key.id));
    pageToken = nextPageToken;
  } while (pageToken !== '');
  return { ids: met, times };
}

function median(times: readonly number[]): number {
  return [...times].sort((one, other) => one - other)[Math.floor(times.length / 2)] ?? Number.NaN;
}

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-test-'));
  await fill(folder);
  gatehouse = await startGatehouse({ folder, env: { GATEHOUSE_LOG_LEVEL: 'warn' } });
  await inParallel(CREATED, create);
}, 300_000);
afterAll(() => gatehouse.remove());

describe('with 100,000 keys', () => {
  test('every one was created with an id and a secret of its own', () => {
    expect(new Set(ids).size).toBe(KEYS);
    expect(new Set(secrets).size).toBe(KEYS);
  });

  test('an owner’s and a project’s keys are listed completely, and counted', async () => {
    const owned = await walk({ owner: { kind: 'user', id: 'u7' }, pageSize: 100 });
    expect(new Set(owned.ids)).toEqual(new Set(ids.filter((_id, index) => index % OWNERS === 7)));
    const ofProject = await walk({ keyspace: 'default', project: 'p7', pageSize: 10 });
    expect(new Set(ofProject.ids)).toEqual(new Set(ids.filter((_id, index) => index % PROJECTS === 7)));
    const { totalSize, activeSize } = await call('KeyService/ListKeys', {
      owner: { kind: 'user', id: 'u7' },
      withTotals: true,
    });
    expect([totalSize, activeSize]).toEqual([KEYS / OWNERS, KEYS / OWNERS]);
  });

  test.each([
    ['the newest', {}],
    ['a keyspace’s', { keyspace: 'default' }],
    ['an owner’s', { owner: { kind: 'user', id: 'u11' } }],
    ['an owner’s in a keyspace', { keyspace: 'default', owner: { kind: 'user', id: 'u11' } }],
    ['a project’s', { keyspace: 'default', project: 'p11' }],
  ])(
    'a page of 50 of %s keys takes less than 20 ms in the median, answer included',
    async (_what, question) => {
      const times: number[] = [];
      for (let asked = 0; asked < 50; asked++) {
        const started = performance.now();
        await call('KeyService/ListKeys', question);
        times.push(performance.now() - started);
      }
      expect(median(times)).toBeLessThan(LIST_P50_MS);
    },
  );

  test('a walk to the end meets each key once while others are being created, and no page gets slow', async () => {
    let walking = true;
    const creating = (async () => {
      while (walking) await call('KeyService/CreateKey', { keyspace: 'default', name: 'late' });
    })();
    const { ids: met, times } = await walk({ keyspace: 'default', pageSize: 1000 });
    walking = false;
    await creating;
    const old = new Set(ids);
    const metOld = met.filter((id) => old.has(id));
    expect(metOld).toHaveLength(KEYS);
    expect(new Set(met).size).toBe(met.length);
    // Each holds 1000 keys, and the last is as near as the first.
    expect(median(times.slice(-20))).toBeLessThan(5 * median(times.slice(0, 20)) + 20);
  }, 120_000);

  test('keys verify, are revoked, and then are refused', async () => {
    const sample = Array.from({ length: 1000 }, (_, index) => index * 97);
    const verify = async () => {
      const statuses: string[] = [];
      for (let from = 0; from < sample.length; from += 100) {
        const requests = sample.slice(from, from + 100).map((index) => ({ token: secrets[index] }));
        const { results } = await call('AuthService/VerifyBatch', { requests });
        statuses.push(...results.map((result: { response: { status: string } }) => result.response.status));
      }
      return [...new Set(statuses)];
    };
    expect(await verify()).toEqual(['VERIFY_STATUS_VALID']);
    await inParallel(sample.length, async (index) => {
      await call('KeyService/RevokeKey', { id: ids[sample[index] ?? -1] });
    });
    expect(await verify()).toEqual(['VERIFY_STATUS_REVOKED']);
  }, 60_000);
});
