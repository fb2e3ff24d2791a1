/** Many keys of one owner in the embedded store die by one write, at once, and none is forgotten. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '../../src/domain/digest.ts';
import { mintToken } from '../../src/domain/token.ts';
import { createKey } from '../../src/keys/create.ts';
import { updateOwner } from '../../src/keys/owners.ts';
import type { Parts } from '../../src/keys/parts.ts';
import { revokeKeys } from '../../src/keys/revoke-keys.ts';
import type { KeyStore } from '../../src/storage/key-store.ts';
import { openSqliteStore } from '../../src/storage/sqlite/open.ts';
import { sampleKey, sampleSecret } from '../conformance/samples.ts';
import { LONG } from '../support/long.ts';
import { overlaidStore } from '../support/overlaid-store.ts';
import { callBy, partsOver, ROOT_KEY } from '../support/parts.ts';

const KEYS = LONG ? 100_000 : 20_000;
const CHUNK = 5000;
const LIMIT_MS = 1000;
const FORMAT = { prefix: 'gate_', alphabet: 'base62', secretLength: 32, checksum: true } as const;
const OWNERS = ['revoked', 'barred'].map((id) => ({ kind: 'user', id }));

const tokens = new Map(OWNERS.map(({ id }) => [id, [] as string[]]));

let folder: string;
let store: KeyStore;
let parts: Parts;
let beforeInsert: (() => Promise<unknown>) | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-'));
  store = await openSqliteStore(join(folder, 'gatehouse.db'));
  parts = await partsOver(
    overlaidStore(store, {
      async insertKey(key, secret) {
        await beforeInsert?.();
        return store.insertKey(key, secret);
      },
    }),
  );
  for (const owner of OWNERS) {
    for (let from = 0; from < KEYS; from += CHUNK) {
      await Promise.all(
        Array.from({ length: CHUNK }, () => {
          const token = mintToken(FORMAT);
          tokens.get(owner.id)?.push(token);
          const key = sampleKey({ keyspace: 'default', owner });
          return store.insertKey(key, sampleSecret(key, { lookup: sha256(token) }));
        }),
      );
    }
  }
}, 300_000);

afterAll(async () => {
  await parts.marking.stop();
  await parts.usage.close();
  await store.close();
  await rm(folder, { recursive: true });
});

/** How many of the tokens a Verify says what of. */
async function statuses(asked: readonly string[] = []): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const token of asked) {
    const question = { token, keyspaces: [], demands: { permissions: [] } };
    const { status } = await parts.verifier.verify({ ...question, strong: true, explain: true }, () => true);
    found[status] = (found[status] ?? 0) + 1;
  }
  return found;
}

describe(`${KEYS} keys of one owner`, () => {
  test.each([
    ['RevokeKeys by owner', OWNERS[0]],
    ['not_before', OWNERS[1]],
  ])(
    'are dead when %s has answered, in under a second, with the one that was being made',
    async (how, owner) => {
      if (owner === undefined) throw new Error('no such owner');
      const root = await callBy(parts, ROOT_KEY);
      const mine = tokens.get(owner.id) ?? [];
      expect(await statuses(mine.slice(0, 1000))).toEqual({ valid: 1000 });

      const gate = Promise.withResolvers<void>();
      const reached = Promise.withResolvers<void>();
      beforeInsert = async () => {
        beforeInsert = undefined;
        reached.resolve();
        await gate.promise;
      };
      const request = { name: 'late', owner, permissions: [], metadata: {}, allowedCidrs: [] };
      const late = createKey(parts, root, 'default', request);
      late.catch(() => undefined);
      await reached.promise;

      const started = performance.now();
      if (how === 'not_before') {
        await updateOwner(parts, root, { keyspace: 'default', owner }, { notBefore: Date.now() }, undefined);
      } else {
        const question = { keyspace: 'default', owner, reason: '', dryRun: false, expectedCount: undefined };
        expect((await revokeKeys(parts, root, question)).count).toBe(KEYS);
      }
      expect(performance.now() - started).toBeLessThan(LIMIT_MS);
      expect(await statuses(mine)).toEqual({ revoked: KEYS });

      gate.resolve();
      await expect(late).rejects.toMatchObject({ reason: 'RIGHTS_CHANGED' });
      if (how === 'not_before') return;
      await parts.marking.settled();
      expect(await store.countKeys({ owner }, Date.now())).toEqual({
        total: KEYS + 1,
        active: 0,
        revoked: KEYS + 1,
      });
    },
    240_000,
  );
});
