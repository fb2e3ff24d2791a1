/**
 * The key schemes of five real products, as they document them, against the real service: the format of
 * their keys, what is stored, what lists show, revocation, expiry and usage.
 */

import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';
import { storedRows, storedText } from '../support/stored.ts';

interface Product {
  readonly folder: string;
  readonly keyspace: string;
  /** The whole token. */
  readonly format: RegExp;
  readonly length: number;
  /** Leading characters that lists show. */
  readonly shown: number;
  readonly stored: 'sha256' | 'argon2id';
}

const PRODUCTS: readonly Product[] = [
  {
    folder: 'agent-corex',
    keyspace: 'agent-corex',
    format: /^acx_[0-9a-f]{32}$/,
    length: 36,
    shown: 12,
    stored: 'sha256',
  },
  {
    folder: 'auxot',
    keyspace: 'auxot-personal',
    format: /^user\.[0-9A-Za-z]{40}$/,
    length: 45,
    shown: 9,
    stored: 'argon2id',
  },
  {
    folder: 'auxot',
    keyspace: 'auxot-team',
    format: /^team\.[0-9A-Za-z]{40}$/,
    length: 45,
    shown: 9,
    stored: 'argon2id',
  },
  {
    folder: 'commandagi',
    keyspace: 'commandagi',
    format: /^cagi_[0-9A-Za-z]{45}$/,
    length: 50,
    shown: 11,
    stored: 'sha256',
  },
  {
    folder: 'agentcontainer',
    keyspace: 'agentcontainer',
    format: /^ac_live_[0-9A-Za-z]{32}$/,
    length: 40,
    shown: 12,
    stored: 'sha256',
  },
  {
    folder: 'actumx',
    keyspace: 'actumx',
    format: /^axk_[0-9A-Za-z]{40}$/,
    length: 44,
    shown: 8,
    stored: 'sha256',
  },
];

const PEPPER = `p1:${Buffer.alloc(32, 7).toString('base64')}`;

function keyspaceFile(folder: string, file: string): unknown[] {
  const path = fileURLToPath(new URL(`../../examples/${folder}/${file}`, import.meta.url));
  return parseAllDocuments(readFileSync(path, 'utf8')).map((document) => document.toJS() as unknown);
}

/** Makes the keyspaces of a product's file. */
async function applyFile(gatehouse: Gatehouse, folder: string, file: string): Promise<void> {
  for (const keyspace of keyspaceFile(folder, file)) {
    const { status, body } = await callJson(
      gatehouse,
      'KeyspaceService/CreateKeyspace',
      { keyspace },
      { key: gatehouse.rootKey },
    );
    expect(body, `${folder}/${file}`).not.toHaveProperty('message');
    expect(status).toBe(200);
  }
}

/** A service with the keyspaces of all five products from the files of one name. */
async function serviceWith(file: string): Promise<Gatehouse> {
  const gatehouse = await startGatehouse({ env: { GATEHOUSE_PEPPERS: PEPPER } });
  for (const folder of new Set(PRODUCTS.map((product) => product.folder))) {
    await applyFile(gatehouse, folder, file);
  }
  return gatehouse;
}

function api(gatehouse: Gatehouse) {
  const call = async (method: string, body: unknown, key = gatehouse.rootKey) =>
    (await callJson(gatehouse, method, body, { key })).body;
  return {
    call,
    create: (keyspace: string, more: object = {}) =>
      call('KeyService/CreateKey', { keyspace, name: 'CI', ...more }),
    verify: (token: string, more: object = {}) => call('AuthService/Verify', { token, ...more }),
    list: (keyspace: string, more: object = {}) => call('KeyService/ListKeys', { keyspace, ...more }),
    revoke: (id: string) => call('KeyService/RevokeKey', { id }),
  };
}

/** Everything that the service has stored, and everything that it printed. */
async function written(gatehouse: Gatehouse): Promise<string> {
  const { stdout, stderr } = gatehouse.output();
  return [await storedText(gatehouse.folder), stdout, stderr].join('\n');
}

describe.each(PRODUCTS)('$keyspace', ({ folder, keyspace, format, length, shown, stored }) => {
  let gatehouse: Gatehouse;
  let product: ReturnType<typeof api>;

  beforeAll(async () => {
    gatehouse = await startGatehouse();
    product = api(gatehouse);
    await applyFile(gatehouse, folder, 'keyspace.yaml');
  });
  afterAll(() => gatehouse.remove());

  test('keys have the documented format and length', async () => {
    for (let made = 0; made < 20; made++) {
      const { secret } = await product.create(keyspace);
      expect(secret).toMatch(format);
      expect(secret).toHaveLength(length);
    }
  });

  test('the key is shown once; lists and the principal show its first characters only', async () => {
    const { key, secret } = await product.create(keyspace, { name: 'shown once' });
    expect(key.displayPrefix).toBe(secret.slice(0, shown));
    const { keys } = await product.list(keyspace, { nameContains: 'shown once' });
    expect(keys).toHaveLength(1);
    expect(keys[0].displayPrefix).toBe(secret.slice(0, shown));
    const answers = [
      keys,
      await product.call('KeyService/GetKey', { id: key.id }),
      await product.verify(secret),
    ];
    expect(JSON.stringify(answers)).not.toContain(secret);
  });

  test('what is stored does not give the token back', async () => {
    const { key, secret } = await product.create(keyspace);
    await product.verify(secret);
    await gatehouse.stop();
    const row = await storedSecret(gatehouse, key.id);
    if (stored === 'sha256') {
      expect(row).toContain(hash('sha256', secret, 'base64url'));
    } else {
      expect(row).toMatch(/\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    }
    const hidden = secret.slice(-12);
    expect(row).not.toContain(hidden);
    expect(await written(gatehouse)).not.toContain(hidden);
    gatehouse = await startGatehouse({ folder: gatehouse.folder });
    product = api(gatehouse);
    expect((await product.verify(secret)).status).toBe('VERIFY_STATUS_VALID');
  });

  test('each of several named keys is revoked alone, at once and for good, and stays listed', async () => {
    const owner = { kind: 'user', id: `owner-of-${keyspace}` };
    const names = ['Production', 'Dev', 'Testing', 'CI/CD'];
    const made = await Promise.all(names.map((name) => product.create(keyspace, { name, owner })));
    const [first, ...others] = made;
    await product.revoke(first.key.id);

    const answer = await product.verify(first.secret);
    expect(answer).toMatchObject({ valid: false, status: 'VERIFY_STATUS_REVOKED' });
    for (const other of others) expect((await product.verify(other.secret)).valid).toBe(true);

    const { keys, totalSize, activeSize } = await product.list(keyspace, { owner, withTotals: true });
    expect([totalSize, activeSize]).toEqual([4, 3]);
    const revoked = keys.find((one: { id: string }) => one.id === first.key.id);
    expect(revoked).toMatchObject({ state: 'KEY_STATE_REVOKED', name: first.key.name });
    expect(revoked.revokeTime).toBeTruthy();
    const again = await product.call('KeyService/UpdateKey', {
      key: { id: first.key.id, disabled: false },
      updateMask: 'disabled',
    });
    expect(again).toMatchObject({ code: 'failed_precondition' });
  });

  test('a key lives for ever unless asked otherwise, and then shows when it ends', async () => {
    const { key } = await product.create(keyspace);
    expect(key.expireTime).toBeUndefined();
    const limited = await product.create(keyspace, { ttl: '3600s' });
    expect(Date.parse(limited.key.expireTime) - Date.parse(limited.key.createTime)).toBe(3_600_000);
    const { valid, principal } = await product.verify(limited.secret);
    expect([valid, principal.expireTime]).toEqual([true, limited.key.expireTime]);
    const { keys } = await product.list(keyspace, { expiresAfter: new Date().toISOString() });
    expect(keys).toMatchObject([{ id: limited.key.id, expireTime: limited.key.expireTime }]);
  });

  test('usage counts valid answers and the last of them', async () => {
    const { key, secret } = await product.create(keyspace, { permissions: ['read'] });
    expect(key.usageCount).toBe('0');
    expect(key.lastUsedTime).toBeUndefined();
    const before = Date.now();
    for (let used = 0; used < 3; used++) await product.verify(secret);
    const refused = await product.verify(secret, { permissions: ['write'] });
    expect(refused.status).toBe('VERIFY_STATUS_INSUFFICIENT_PERMISSIONS');
    const end = Date.now();
    const read = async () => (await product.call('KeyService/GetKey', { id: key.id })).key;
    // Counts may be a second late.
    await expect.poll(async () => (await read()).usageCount, { timeout: 5000 }).toBe('3');
    const { lastUsedTime } = await read();
    expect(Date.parse(lastUsedTime)).toBeGreaterThanOrEqual(before);
    expect(Date.parse(lastUsedTime)).toBeLessThanOrEqual(end);
  });

  test('malformed keys, unknown keys and those of other products are refused', async () => {
    const { secret } = await product.create(keyspace);
    const flipped = secret.slice(0, -1) + (secret.endsWith('0') ? '1' : '0');
    expect((await product.verify(flipped)).status).toBe('VERIFY_STATUS_NOT_FOUND');
    expect((await product.verify(`${secret}0`)).status).toBe('VERIFY_STATUS_MALFORMED');
    expect((await product.verify(`other_${secret}`)).status).toBe('VERIFY_STATUS_NOT_FOUND');
    const elsewhere = await product.create('default');
    const answer = await product.verify(elsewhere.secret, { keyspaces: [keyspace] });
    expect(answer.status).toBe('VERIFY_STATUS_WRONG_KEYSPACE');
  });
});

describe('what single products add', () => {
  let gatehouse: Gatehouse;
  let all: ReturnType<typeof api>;

  beforeAll(async () => {
    gatehouse = await serviceWith('keyspace.yaml');
    all = api(gatehouse);
  });
  afterAll(() => gatehouse.remove());

  test('commandAGI: a key makes, lists and deletes keys of its own account and project, and no other', async () => {
    const owner = { kind: 'account', id: 'a1' };
    const mine = await all.create('commandagi', { owner });
    const stranger = await all.create('commandagi', { owner: { kind: 'account', id: 'a2' } });

    const made = await all.call(
      'KeyService/CreateKey',
      { keyspace: 'commandagi', name: 'child', project: 'p1', ttl: '2592000s' },
      mine.secret,
    );
    expect(made.key).toMatchObject({ owner, project: 'p1', parentKeyId: mine.key.id });
    // A day is 24 hours.
    expect(Date.parse(made.key.expireTime) - Date.parse(made.key.createTime)).toBe(30 * 86_400_000);

    const listed = await all.call('KeyService/ListKeys', { keyspace: 'commandagi' }, mine.secret);
    expect(listed.keys.map((key: { id: string }) => key.id).sort()).toEqual(
      [mine.key.id, made.key.id].sort(),
    );
    const ofProject = await all.call(
      'KeyService/ListKeys',
      { keyspace: 'commandagi', project: 'p1' },
      mine.secret,
    );
    expect(ofProject.keys.map((key: { id: string }) => key.id)).toEqual([made.key.id]);

    const revoked = await all.call('KeyService/RevokeKey', { id: made.key.id }, mine.secret);
    expect(revoked.key.state).toBe('KEY_STATE_REVOKED');
    expect((await all.verify(made.secret)).status).toBe('VERIFY_STATUS_REVOKED');
    expect(await all.call('KeyService/RevokeKey', { id: stranger.key.id }, mine.secret)).toMatchObject({
      code: 'not_found',
    });
  });

  test('Auxot: an assistant with a personal key makes another for the same user; a team key makes none', async () => {
    const owner = { kind: 'user', id: 'u1' };
    const personal = await all.create('auxot-personal', { owner, permissions: ['chat:*'] });
    const made = await all.call(
      'KeyService/CreateKey',
      { keyspace: 'auxot-personal', name: 'CI Pipeline' },
      personal.secret,
    );
    expect(made.key).toMatchObject({ owner, name: 'CI Pipeline', permissions: ['chat:*'] });
    const team = await all.create('auxot-team', { owner: { kind: 'team', id: 't1' } });
    const refused = await all.call(
      'KeyService/CreateKey',
      { keyspace: 'auxot-team', name: 'x' },
      team.secret,
    );
    expect(refused).toMatchObject({ code: 'permission_denied' });
  });

  test('Agent-CoreX: an expired key is refused from its moment on, and stays listed as expired', async () => {
    const short = await all.create('agent-corex', { ttl: '1s' });
    expect((await all.verify(short.secret)).valid).toBe(true);
    await expect
      .poll(async () => (await all.verify(short.secret)).status, { timeout: 5000 })
      .toBe('VERIFY_STATUS_EXPIRED');
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(short.key.expireTime));
    const { keys } = await all.list('agent-corex', { states: ['KEY_STATE_EXPIRED'] });
    expect(keys).toMatchObject([{ id: short.key.id, state: 'KEY_STATE_EXPIRED' }]);
  });

  test('Auxot: personal and team keys are told apart by their prefix', async () => {
    const personal = await all.create('auxot-personal');
    const team = await all.create('auxot-team');
    const both = { keyspaces: ['auxot-personal', 'auxot-team'] };
    expect((await all.verify(personal.secret, both)).principal.keyspace).toBe('auxot-personal');
    expect((await all.verify(team.secret, both)).principal.keyspace).toBe('auxot-team');
  });

  test('AgentContainer and ActumX: a key manages no keys', async () => {
    for (const keyspace of ['agentcontainer', 'actumx']) {
      const mine = await all.create(keyspace, { owner: { kind: 'user', id: 'u1' } });
      for (const [method, body] of [
        ['KeyService/CreateKey', { keyspace, name: 'x' }],
        ['KeyService/ListKeys', { keyspace }],
        ['KeyService/RevokeKey', { id: mine.key.id }],
      ] as const) {
        expect(await all.call(method, body, mine.secret)).toMatchObject({ code: 'permission_denied' });
      }
    }
  });

  test('ActumX: a key of another account is refused where the account is asked for', async () => {
    const { secret } = await all.create('actumx', { owner: { kind: 'account', id: 'a1' } });
    const answer = await all.verify(secret, { owner: { kind: 'account', id: 'a2' } });
    expect(answer).toMatchObject({ valid: false, status: 'VERIFY_STATUS_WRONG_OWNER' });
  });
});

describe('the recommended keyspaces', () => {
  let gatehouse: Gatehouse;
  beforeAll(async () => {
    gatehouse = await serviceWith('recommended.yaml');
  });
  afterAll(() => gatehouse.remove());

  test.each(PRODUCTS)(
    '$keyspace: keys look as documented, work, and a typo is refused before any look-up',
    async (product) => {
      const { create, verify } = api(gatehouse);
      const { secret } = await create(product.keyspace);
      expect(secret).toMatch(product.format);
      expect((await verify(secret)).valid).toBe(true);
      const typo = secret.slice(0, -1) + (secret.endsWith('a') ? 'b' : 'a');
      const hasChecksum = product.keyspace !== 'agent-corex';
      expect((await verify(typo)).status).toBe(
        hasChecksum ? 'VERIFY_STATUS_MALFORMED' : 'VERIFY_STATUS_NOT_FOUND',
      );
    },
  );
});

/** All that the store keeps of one key's secret, as text. */
async function storedSecret({ folder }: Gatehouse, keyId: string): Promise<string> {
  const secrets = (await storedRows(folder, 'secrets')).filter(({ key_id }) => key_id === keyId);
  expect(secrets).toHaveLength(1);
  return JSON.stringify(secrets);
}
