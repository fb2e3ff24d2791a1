/** 5,000 keys of one owner over MongoDB die by one write: of all records one moves one revision. */

import { randomUUID } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { describe, expect, inject, test } from 'vitest';
import { sha256 } from '../../src/domain/digest.ts';
import { mintToken } from '../../src/domain/token.ts';
import { updateOwner } from '../../src/keys/owners.ts';
import type { Parts } from '../../src/keys/parts.ts';
import { revokeKeys } from '../../src/keys/revoke-keys.ts';
import type { KeyPosition, KeyStore } from '../../src/storage/key-store.ts';
import { keyDocument, secretDocument } from '../../src/storage/mongodb/documents.ts';
import { openMongoStore } from '../../src/storage/mongodb/open.ts';
import { sampleKey, sampleSecret } from '../conformance/samples.ts';
import { dropDatabase, inDatabase } from '../support/mongodb.ts';
import { overlaidStore } from '../support/overlaid-store.ts';
import { callBy, partsOver, ROOT_KEY } from '../support/parts.ts';

const KEYS = 5000;
const SAMPLED = 100;
const CHUNK = 500;
const LIMIT_MS = 1000;
const FORMAT = { prefix: 'gate_', alphabet: 'base62', secretLength: 32, checksum: true } as const;
const OWNER = { kind: 'user', id: 'alice' };

const server = inject('mongodb');

describe.skipIf(server === '')('5,000 keys of one owner', () => {
  test.each(['RevokeKeys by owner', 'not_before'])(
    'are dead when %s has answered, in under a second, by a single write',
    async (how) => {
      const uri = inDatabase(server, `generations-${randomUUID()}`);
      const store = await openMongoStore(uri);
      const writes: string[] = [];
      const marking = Promise.withResolvers<void>();
      const counted = overlaidStore(store, {
        replaceKey: (next) => write('replaceKey', () => store.replaceKey(next)),
        replaceKeyspace: (next) => write('replaceKeyspace', () => store.replaceKeyspace(next)),
        insertOwner: (owner) => write('insertOwner', () => store.insertOwner(owner)),
        replaceOwner: (next) => write('replaceOwner', () => store.replaceOwner(next)),
      });
      function write(name: string, work: () => Promise<boolean>): Promise<boolean> {
        writes.push(name);
        return work();
      }
      const parts = await partsOver(counted);
      // What comes after the answer is not what kills the keys.
      const held = { ofOwner: () => marking.resolve(), ofKeyspace: () => undefined };
      const later = { ...parts, marking: held as unknown as typeof parts.marking };
      try {
        const tokens = await fill(uri);
        const root = await callBy(parts, ROOT_KEY);
        expect(await statuses(parts, tokens)).toEqual(new Set(['valid']));
        const before = await revisions(store);
        writes.length = 0;

        const limit = Math.max(LIMIT_MS, 4 * (await timeToCount(store)));
        const started = performance.now();
        if (how === 'not_before') {
          const place = { keyspace: 'default', owner: OWNER };
          await updateOwner(later, root, place, { notBefore: Date.now() }, undefined);
        } else {
          const rest = { reason: '', dryRun: false, expectedCount: undefined };
          const { count } = await revokeKeys(later, root, { keyspace: 'default', owner: OWNER, ...rest });
          expect(count).toBe(KEYS);
        }
        expect(performance.now() - started).toBeLessThan(limit);
        await marking.promise;
        expect(writes).toEqual(['insertOwner']);
        expect(await revisions(store)).toEqual(before);
        expect(await store.getOwner('default/user:alice')).toMatchObject({ revision: 1, generation: 1 });
        expect(await statuses(parts, tokens)).toEqual(new Set(['revoked']));
      } finally {
        await store.close();
        await dropDatabase(uri);
      }
    },
    240_000,
  );
});

/** Puts the keys where the store finds them. @returns tokens of some of them, from the first to the last. */
async function fill(uri: string): Promise<string[]> {
  const tokens = Array.from({ length: KEYS }, () => mintToken(FORMAT));
  const keys = tokens.map(() => sampleKey({ keyspace: 'default', owner: OWNER }));
  const secrets = keys.map((key, index) => sampleSecret(key, { lookup: sha256(tokens[index] ?? '') }));
  const client = new MongoClient(uri);
  try {
    for (let from = 0; from < KEYS; from += CHUNK) {
      const to = from + CHUNK;
      await client
        .db()
        .collection<{ _id: string }>('secrets')
        .insertMany(secrets.slice(from, to).map(secretDocument));
      await client.db().collection<{ _id: string }>('keys').insertMany(keys.slice(from, to).map(keyDocument));
    }
  } finally {
    await client.close();
  }
  return tokens.filter((_token, index) => index % (KEYS / SAMPLED) === 0);
}

/** What a Verify says of each of the tokens. */
async function statuses({ verifier }: Parts, tokens: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>();
  for (const token of tokens) {
    const question = { token, keyspaces: [], demands: { permissions: [] }, strong: true, explain: true };
    found.add((await verifier.verify(question, () => true)).status);
  }
  return found;
}

/**
 * Milliseconds that one count of the owner's keys takes. MongoDB has an index for it; the small server that stands in
 * for it goes through all keys, which on a busy machine alone takes longer than the call may.
 */
async function timeToCount(store: KeyStore): Promise<number> {
  const started = performance.now();
  await store.countKeys({ keyspaces: ['default'], owner: OWNER }, Date.now());
  return performance.now() - started;
}

/** How many of the owner's keys stand at each revision. */
async function revisions(store: KeyStore): Promise<Record<number, number>> {
  const found: Record<number, number> = {};
  let after: KeyPosition | undefined;
  do {
    const page = { filter: { owner: OWNER }, limit: 1000, now: Date.now(), ...(after && { after }) };
    const keys = (await store.listKeys(page)).map(({ key }) => key);
    for (const { revision } of keys) found[revision] = (found[revision] ?? 0) + 1;
    after = keys.at(-1);
  } while (after !== undefined);
  return found;
}
