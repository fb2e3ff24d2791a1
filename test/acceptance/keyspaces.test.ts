/** Keyspaces over the real service: listing them page by page, and changing just what the mask names. */

import { beforeAll, describe, expect, test } from 'vitest';
import { fieldsOf, type JsonAnswer } from '../support/gatehouse.ts';
import { FORMAT, useShop } from '../support/shop.ts';

const MADE = 23;

const shop = useShop();
let all: string[];

beforeAll(async () => {
  const made = Array.from({ length: MADE }, (_, index) => `made-${String(index).padStart(2, '0')}`);
  for (const id of made) {
    const { status } = await shop.root('KeyspaceService/CreateKeyspace', {
      keyspace: { ...FORMAT, id, prefix: `${id}_` },
    });
    expect(status).toBe(200);
  }
  all = ['default', 'gatehouse', 'gated', 'plain', 'shop', ...made].sort();
});

const list = (question: object, by = shop.rootKey) =>
  shop.call(by, 'KeyspaceService/ListKeyspaces', question);

/** The ids of all pages, in the order in which they came. */
async function walk(pageSize: number, by = shop.rootKey): Promise<string[]> {
  const met: string[] = [];
  let pageToken = '';
  do {
    const { body } = await list({ pageSize, pageToken }, by);
    expect(body.keyspaces.length).toBeLessThanOrEqual(pageSize);
    met.push(...body.keyspaces.map(({ id }: { id: string }) => id));
    pageToken = body.nextPageToken;
  } while (pageToken !== '');
  return met;
}

function expectPageTokenRefused(answer: JsonAnswer): void {
  expect([answer.status, answer.body.code]).toEqual([400, 'invalid_argument']);
  expect(fieldsOf(answer)).toEqual(['page_token']);
}

describe('ListKeyspaces', () => {
  test.each([1, 4, 7, 27, 28, 29, 1000])(
    'in pages of %d meets each keyspace once, by id',
    async (pageSize) => {
      expect(await walk(pageSize)).toEqual(all);
    },
  );

  test('meets just those that the caller may read', async () => {
    const reader = await shop.manager(
      'keyspaces:read@shop',
      'keyspaces:admin@made-03',
      'keyspaces:read@nowhere',
    );
    expect(await walk(1, reader.secret)).toEqual(['made-03', 'shop']);
    const wide = await shop.manager('keyspaces:read');
    expect(await walk(5, wide.secret)).toEqual(all.filter((id) => id !== 'gatehouse'));
  });

  test('a walk meets each once, and what was there before, while others are being made', async () => {
    const met: string[] = [];
    let pageToken = '';
    let round = 0;
    do {
      const { body } = await list({ pageSize: 5, pageToken });
      met.push(...body.keyspaces.map(({ id }: { id: string }) => id));
      pageToken = body.nextPageToken;
      const id = `late-${round++}`;
      await shop.root('KeyspaceService/CreateKeyspace', { keyspace: { ...FORMAT, id, prefix: `${id}_` } });
    } while (pageToken !== '');
    expect(new Set(met).size).toBe(met.length);
    expect(met.filter((id) => !id.startsWith('late-'))).toEqual(all);
  });

  test('takes no page token that was forged', async () => {
    const { nextPageToken } = (await list({ pageSize: 3 })).body;
    expect((await list({ pageSize: 3, pageToken: nextPageToken })).status).toBe(200);
    const id = Buffer.from('made-00').toString('base64url');
    const json = Buffer.from(JSON.stringify('made-00')).toString('base64url');
    const [position, mac] = nextPageToken.split('.');
    for (const forged of [
      'x',
      '.',
      id,
      json,
      `${id}.${mac}`,
      `${json}.${mac}`,
      `${position}.`,
      `${position}`,
      `${nextPageToken}x`,
      `x${nextPageToken}`,
    ]) {
      expectPageTokenRefused(await list({ pageSize: 3, pageToken: forged }));
    }
  });

  test('takes no page token of another caller, nor of another listing', async () => {
    const { nextPageToken } = (await list({ pageSize: 3 })).body;
    const reader = await shop.manager('keyspaces:read', 'keyspaces:read@gatehouse');
    expectPageTokenRefused(await list({ pageSize: 3, pageToken: nextPageToken }, reader.secret));
    for (let made = 0; made < 2; made++) await shop.make('plain');
    const keys = (await shop.root('KeyService/ListKeys', { pageSize: 1 })).body;
    expect(keys.nextPageToken).not.toBe('');
    expectPageTokenRefused(await list({ pageToken: keys.nextPageToken }));
    expectPageTokenRefused(await shop.root('KeyService/ListKeys', { pageToken: nextPageToken }));
  });
});

describe('UpdateKeyspace', () => {
  const get = async (id: string) => (await shop.root('KeyspaceService/GetKeyspace', { id })).body.keyspace;

  test.each([
    ['not offered', { credentialHeaders: ['CREDENTIAL_HEADER_AUTHORIZATION'] }],
    ['not offered, inside one that is', { keyDefaults: { credits: { remaining: '5' } } }],
    ['not offered, as a value', { selfServiceCallers: ['SELF_SERVICE_CALLER_SESSION'] }],
    [
      'of the format',
      { prefix: 'other_', secretLength: 50, hash: 'HASH_ALGORITHM_ARGON2ID', checksum: true },
    ],
    ['of its policy', { defaultTtl: '60s', maxTtl: '3600s', selfServicePermission: 'keys:manage' }],
    ['that only the server sets', { revision: '99', createTime: '2020-01-01T00:00:00Z' }],
  ])('ignores fields that the mask does not name: %s', async (what, fields) => {
    const before = await get('made-01');
    const { status, body } = await shop.root('KeyspaceService/UpdateKeyspace', {
      keyspace: { id: 'made-01', displayName: what, ...fields },
      updateMask: 'displayName',
    });
    expect([status, body.message]).toEqual([200, undefined]);
    const { updateTime, revision, ...rest } = await get('made-01');
    expect(rest).toEqual({
      ...Object.fromEntries(
        Object.entries(before).filter(([name]) => name !== 'updateTime' && name !== 'revision'),
      ),
      displayName: what,
    });
    expect(Number(revision)).toBe(Number(before.revision) + 1);
    expect(Date.parse(updateTime)).toBeGreaterThanOrEqual(Date.parse(before.updateTime));
  });

  test('keeps the answers of the hooks by status, replaces them as a whole and takes them away', async () => {
    const update = (denyBodies: object) =>
      shop.root('KeyspaceService/UpdateKeyspace', {
        keyspace: { id: 'made-03', denyBodies },
        updateMask: 'denyBodies',
      });
    const one = { 401: { contentType: 'application/json', body: '{"error":"no"}' } };
    const other = { 429: { contentType: 'text/plain; charset=utf-8', body: '' } };
    const changed = (await update(one)).body;
    expect(changed.keyspace.denyBodies).toEqual(one);
    expect((await get('made-03')).denyBodies).toEqual(one);
    await update(other);
    expect((await get('made-03')).denyBodies).toEqual(other);
    // The same once more is no change.
    const { revision } = await get('made-03');
    expect((await update(other)).body.keyspace.revision).toBe(revision);
    await update({});
    expect((await get('made-03')).denyBodies).toEqual({});
  });

  test('keeps for how long others may remember, 0 as well, and goes back to the default', async () => {
    const policy = async () => {
      const { cacheTtl, negativeTtl, clientCacheTtl } = await get('made-04');
      return [cacheTtl, negativeTtl, clientCacheTtl];
    };
    const update = (fields: object) =>
      shop.root('KeyspaceService/UpdateKeyspace', {
        keyspace: { id: 'made-04', ...fields },
        updateMask: 'cacheTtl,negativeTtl,clientCacheTtl',
      });
    expect(await policy()).toEqual([undefined, undefined, undefined]);
    await update({ cacheTtl: '86400s', negativeTtl: '0s', clientCacheTtl: '1.500s' });
    expect(await policy()).toEqual(['86400s', '0s', '1.500s']);
    await update({ cacheTtl: '0s' });
    expect(await policy()).toEqual(['0s', undefined, undefined]);
  });

  test('an answer may be reused as soon as the keyspace allows it, and a change then takes so much longer', async () => {
    const { id, secret } = await shop.make('made-05');
    const reuse = async () => (await shop.root('AuthService/Verify', { token: secret })).body.cacheableFor;
    const rename = async (name: string) => {
      const sent = Date.now();
      const { body } = await shop.root('KeyService/UpdateKey', { key: { id, name }, updateMask: 'name' });
      return Date.parse(body.propagation.effectiveTime) - sent;
    };
    expect(await reuse()).toBe('0s');
    expect(await rename('two')).toBeLessThan(900_000);
    await shop.root('KeyspaceService/UpdateKeyspace', {
      keyspace: { id: 'made-05', clientCacheTtl: '900s' },
      updateMask: 'clientCacheTtl',
    });
    expect(await reuse()).toBe('900s');
    expect(await rename('three')).toBeGreaterThanOrEqual(900_000);
  });

  test('a replica may go on when it is cut off only within a bound, by which a change then takes longer', async () => {
    const { id } = await shop.make('made-06');
    const update = (fields: object, updateMask: string) =>
      shop.root('KeyspaceService/UpdateKeyspace', { keyspace: { id: 'made-06', ...fields }, updateMask });
    const policy = async () => {
      const { onPartition, partitionBound } = await get('made-06');
      return [onPartition, partitionBound];
    };
    const rename = async (name: string) => {
      const sent = Date.now();
      const { body } = await shop.root('KeyService/UpdateKey', { key: { id, name }, updateMask: 'name' });
      return Date.parse(body.propagation.effectiveTime) - sent;
    };
    expect(await policy()).toEqual(['ON_PARTITION_STRICT', undefined]);
    const unbound = await update({ onPartition: 'ON_PARTITION_AVAILABLE' }, 'onPartition');
    expect([unbound.status, fieldsOf(unbound)]).toEqual([400, ['keyspace.partition_bound']]);

    const both = { onPartition: 'ON_PARTITION_AVAILABLE', partitionBound: '2000s' };
    await update(both, 'onPartition,partitionBound');
    expect(await policy()).toEqual(['ON_PARTITION_AVAILABLE', '2000s']);
    expect(await rename('two')).toBeGreaterThanOrEqual(2_000_000);
    // The change that takes it back comes late for those who have it.
    const { body } = await update({ onPartition: 'ON_PARTITION_STRICT' }, 'onPartition');
    expect(Date.parse(body.propagation.effectiveTime) - Date.now()).toBeGreaterThan(1_900_000);
    expect(await policy()).toEqual(['ON_PARTITION_STRICT', '2000s']);
    // And so does each one that follows, until nobody has it any more.
    expect(await rename('three')).toBeGreaterThan(1_900_000);
  });

  test.each([
    ['cacheTtl', '86401s'],
    ['partitionBound', '3601s'],
    ['partitionBound', '0s'],
    ['negativeTtl', '3601s'],
    ['clientCacheTtl', '3601s'],
    ['clientCacheTtl', '-1s'],
  ])('refuses to have others remember for so long: %s %s', async (field, value) => {
    const answer = await shop.root('KeyspaceService/UpdateKeyspace', {
      keyspace: { id: 'made-04', [field]: value },
      updateMask: field,
    });
    expect([answer.status, answer.body.code]).toEqual([400, 'invalid_argument']);
    expect(fieldsOf(answer)).toEqual([
      `keyspace.${field.replace(/[A-Z]/g, (one) => `_${one.toLowerCase()}`)}`,
    ]);
  });

  test.each([
    [{ 200: { contentType: 'text/plain', body: '' } }, 'keyspace.deny_bodies'],
    [{ 401: { contentType: 'text', body: '' } }, 'content_type'],
    [{ 401: { contentType: 'text/plain\r\nx: y', body: '' } }, 'content_type'],
    [{ 401: { contentType: 'text/plain', body: 'x'.repeat(8193) } }, 'body'],
  ])('refuses an answer of the hooks that none can give: %j', async (denyBodies, field) => {
    const { status, body } = await shop.root('KeyspaceService/UpdateKeyspace', {
      keyspace: { id: 'made-03', denyBodies },
      updateMask: 'denyBodies',
    });
    expect([status, body.code]).toEqual([400, 'invalid_argument']);
    expect(JSON.stringify(body)).toContain(field);
  });

  test('refuses those that the mask names and that are not offered, and changes nothing', async () => {
    const before = await get('made-02');
    const { status, body } = await shop.root('KeyspaceService/UpdateKeyspace', {
      keyspace: { id: 'made-02', displayName: 'x' },
      updateMask: 'displayName,credentialHeaders',
    });
    expect([status, body.code]).toEqual([501, 'unimplemented']);
    expect(await get('made-02')).toEqual(before);
  });
});
