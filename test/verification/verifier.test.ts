/** What a Verify asks of the store, and what it counts. */

import { describe, expect, test } from 'vitest';
import { createKey } from '../../src/keys/create.ts';
import { createKeyspace } from '../../src/keys/keyspaces.ts';
import type { Parts } from '../../src/keys/parts.ts';
import { revokeKey } from '../../src/keys/revoke.ts';
import { CachedKeyStore } from '../../src/storage/cache/memory.ts';
import { ALONE } from '../../src/storage/cache/shared.ts';
import type { KeyStore } from '../../src/storage/key-store.ts';
import { Secrets } from '../../src/verification/secrets.ts';
import { Verifier, type VerifyQuestion } from '../../src/verification/verifier.ts';
import { callBy, makeParts, ROOT_KEY } from '../support/parts.ts';

const NOTHING = { permissions: [], metadata: {}, allowedCidrs: [] };

interface Rig {
  readonly parts: Parts;
  /** Over a cache, as the service has it. */
  readonly verifier: Verifier;
  readonly cache: CachedKeyStore;
  /** Names of the store's methods that were called since the last `forget`. */
  readonly calls: string[];
  readonly token: string;
  readonly keyId: string;
}

async function rig(): Promise<Rig> {
  const calls: string[] = [];
  const parts = await makeParts((store) => counted(store, calls));
  const cache = new CachedKeyStore(parts.store, {
    sizes: { secrets: 100_000, keys: 100_000, owners: 100_000 },
    lease: ALONE,
  });
  const secrets = new Secrets([]);
  const verifier = new Verifier({
    cached: cache,
    record: parts.store,
    secrets,
    usage: parts.usage,
    now: parts.now,
  });
  const root = await callBy(parts, ROOT_KEY);
  await createKeyspace(parts, root, {
    id: 'checked',
    displayName: '',
    prefix: 'chk_',
    alphabet: 'hex',
    secretLength: 40,
    checksum: true,
    hash: 'sha256',
    displayLength: 8,
    keyDefaults: { metadata: {}, permissions: [] },
    selfServiceCallers: [],
    selfServiceMayOutlive: false,
  });
  const { key, token = '' } = await createKey(parts, root, 'checked', { ...NOTHING, name: 'x' });
  return { parts, verifier, cache, calls, token, keyId: key.id };
}

function counted(store: KeyStore, calls: string[]): KeyStore {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        calls.push(String(name));
        return value.apply(target, args);
      };
    },
  });
}

function ask(verifier: Verifier, token: string, more: Partial<VerifyQuestion> = {}) {
  const question = {
    token,
    keyspaces: [],
    demands: { permissions: [] },
    strong: false,
    explain: false,
    ...more,
  };
  return verifier.verify(question, () => true);
}

describe('a Verify', () => {
  test('of a known key asks the store nothing, once its records are in memory', async () => {
    const { verifier, calls, token } = await rig();
    await ask(verifier, token);
    calls.length = 0;
    for (let asked = 0; asked < 100; asked++) expect((await ask(verifier, token)).status).toBe('valid');
    expect(calls).toEqual([]);
  });

  test('of a malformed token, a wrong checksum or an unknown prefix asks the store nothing', async () => {
    const { verifier, calls, token } = await rig();
    await ask(verifier, token);
    calls.length = 0;
    const flipped = token.slice(0, 10) + (token[10] === '0' ? '1' : '0') + token.slice(11);
    const junk = [
      '',
      'x',
      'chk_',
      flipped,
      `${token}0`,
      token.toUpperCase(),
      'nowhere_1',
      'eyJ.eyJ.x',
      'a\0',
      'ä',
    ];
    const statuses = await Promise.all(junk.map(async (text) => (await ask(verifier, text)).status));
    expect(statuses.every((status) => ['missing', 'malformed', 'not-found'].includes(status))).toBe(true);
    expect(calls).toEqual([]);
  });

  test('of another keyspace than those accepted asks the store nothing', async () => {
    const { verifier, calls, token } = await rig();
    await verifier.directory();
    calls.length = 0;
    expect((await ask(verifier, token, { keyspaces: ['default'] })).status).toBe('wrong-keyspace');
    expect(calls).toEqual([]);
  });

  test('of strong consistency reads the system of record, whatever memory says', async () => {
    const { verifier, calls, token, parts, keyId } = await rig();
    await ask(verifier, token);
    // Past the cache, as another process would.
    await revokeKey(
      parts,
      await callBy(parts, ROOT_KEY),
      { id: keyId },
      { reason: '', includeDescendants: false },
    );
    calls.length = 0;
    expect((await ask(verifier, token)).status).toBe('valid');
    expect(calls).toEqual([]);
    expect((await ask(verifier, token, { strong: true })).status).toBe('revoked');
    expect(calls).toContain('getKey');
  });

  test('counts a use only where the answer is VALID and was not asked to explain itself', async () => {
    const { verifier, token, parts, keyId } = await rig();
    await ask(verifier, token);
    await ask(verifier, token, { explain: true });
    await ask(verifier, token, { demands: { permissions: ['nothing:like:it'] } });
    await parts.usage.flush();
    expect((await parts.store.readUsage([keyId])).get(keyId)?.count).toBe(1);
  });

  test('may be reused as its keyspace says where it is VALID, and not where it was asked of the system of record', async () => {
    const { verifier, cache, token } = await rig();
    expect((await ask(verifier, token)).reusableFor).toBe(0);
    const checked = (await cache.listKeyspaces()).find(({ id }) => id === 'checked');
    if (checked === undefined) throw new Error('the keyspace is gone');
    await cache.replaceKeyspace({ ...checked, clientCacheTtl: 9000, revision: checked.revision + 1 });
    expect((await ask(verifier, token)).reusableFor).toBe(9000);
    expect((await ask(verifier, token, { strong: true })).reusableFor).toBe(0);
    const refused = await ask(verifier, token, { demands: { permissions: ['nothing:like:it'] } });
    expect([refused.status, refused.reusableFor]).toEqual(['insufficient-permissions', 0]);
    expect((await ask(verifier, `${token}x`)).reusableFor).toBe(0);
  });

  test('explains each check up to the one that failed', async () => {
    const { verifier, token } = await rig();
    const { checks } = await ask(verifier, `${token}x`, { explain: true });
    expect(checks.map(({ name, passed }) => [name, passed])).toEqual([
      ['present', true],
      ['printable', true],
      ['known_prefix', true],
      ['well_formed', false],
    ]);
  });
});
