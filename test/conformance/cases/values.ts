import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Keyspace } from '../../../src/domain/keyspace.ts';
import type { KeyStore } from '../../../src/storage/key-store.ts';
import type { OpenForCase } from '../key-store.ts';
import { changed, sampleKey, sampleKeyspace, sampleSecret, storeKey, T0, unique } from '../samples.ts';

const HARD_TEXTS = [
  `it's "quoted" and \\ escaped`,
  '100%_done; DROP TABLE keys; --',
  'a\u0000b',
  '🔑 key, 鍵, مفتاح, e\u0301',
  '\u2028\r\n\t',
  '$where',
  'a.b.$c',
  'x'.repeat(20_000),
];

// Names that some databases or JavaScript itself give a meaning of their own.
const HARD_NAMES = ['__proto__', 'constructor', 'toString', '_id', '$set', 'a.b', '', '0', 'tab\there', '🔑'];

export function valueCases(open: OpenForCase<KeyStore>): void {
  describe('values', () => {
    test.each(HARD_TEXTS)('text is given back as it was, wherever it stands: %j', async (text) => {
      const store = await open();
      const key = await storeKey(store, {
        name: text,
        displayPrefix: text,
        project: text,
        owner: { kind: text, id: text },
        metadata: { text },
        permissions: [text],
        revokeReason: text,
      });
      expect(await store.getKey(key.id)).toEqual(key);
      const filter = {
        owner: { kind: text, id: text },
        project: text,
        displayPrefix: text,
        nameContains: text,
      };
      expect(await store.listKeys({ filter, limit: 9, now: T0 })).toEqual([{ key, usage: undefined }]);
      expect(await store.countKeys(filter, T0)).toEqual({ total: 1, active: 1, revoked: 0 });
    });

    test('metadata and prefixes may have any names', async () => {
      const store = await open();
      const metadata = Object.fromEntries(HARD_NAMES.map((name) => [name, `value of ${name}`]));
      const key = await storeKey(store, { metadata });
      const stored = await store.getKey(key.id);
      expect(Object.entries(stored?.metadata ?? {}).sort()).toEqual(Object.entries(metadata).sort());
      const registry = await store.readRegistry();
      await store.replaceRegistry(changed(registry, { prefixes: metadata }));
      const { prefixes } = await store.readRegistry();
      expect(Object.entries(prefixes).sort()).toEqual(Object.entries(metadata).sort());
    });

    test('any text survives in any record', async () => {
      const store = await open();
      const text = fc.string({ unit: 'binary', maxLength: 40 });
      const fields = fc.record({
        name: text,
        metadata: fc.dictionary(text, text),
        permissions: fc.array(text),
        revokeReason: text,
      });
      await fc.assert(
        fc.asyncProperty(fields, async (some) => {
          const key = await storeKey(store, some);
          const stored = await store.getKey(key.id);
          // Entries, because toEqual does not see a field named __proto__.
          expect(Object.entries(stored?.metadata ?? {}).sort()).toEqual(Object.entries(some.metadata).sort());
          expect({ ...stored, metadata: {} }).toEqual({ ...key, metadata: {} });
        }),
        { numRuns: 60 },
      );
    });

    test('what a keyspace says of remembering is given back, 0 included, and what it does not say stays unsaid', async () => {
      const store = await open();
      const said = sampleKeyspace({
        id: 'a',
        cacheTtl: 86_400_000,
        negativeTtl: 0,
        clientCacheTtl: 1,
        onPartition: 'available',
        partitionBound: 3_600_000,
        olderAnswersUntil: T0,
      });
      const silent = sampleKeyspace({ id: 'b' });
      await store.insertKeyspace(said);
      await store.insertKeyspace(silent);
      expect(await store.listKeyspaces()).toEqual([said, silent]);
      const { clientCacheTtl: _, ...rest } = said;
      const next = changed<Keyspace>(rest, { cacheTtl: 0 });
      await store.replaceKeyspace(next);
      const [stored] = await store.listKeyspaces();
      expect(stored).toEqual(next);
      expect(stored).not.toHaveProperty('clientCacheTtl');
    });

    test('changing a record after the call changes nothing stored', async () => {
      const store = await open();
      const key = sampleKey({ metadata: { team: 'one' } });
      const secret = sampleSecret(key);
      const keyspace = sampleKeyspace();
      const [keptKey, keptSecret, keptKeyspace] = structuredClone([key, secret, keyspace] as const);
      await store.insertKey(key, secret);
      await store.insertKeyspace(keyspace);
      tamper(key.metadata, 'team');
      tamper(secret, 'keyId');
      tamper(keyspace.keyDefaults.metadata, 'team');

      for (let round = 0; round < 2; round++) {
        const found = await store.getKey(keptKey.id);
        expect(found).toEqual(keptKey);
        tamper(found?.metadata, 'team');
        const foundSecret = await store.findSecret(keptSecret.keyspace, keptSecret.lookup);
        expect(foundSecret).toEqual(keptSecret);
        tamper(foundSecret, 'keyId');
        const [foundKeyspace] = await store.listKeyspaces();
        expect(foundKeyspace).toEqual(keptKeyspace);
        tamper(foundKeyspace?.keyDefaults.metadata, 'team');
        const [listed] = await store.listKeys({ filter: {}, limit: 1, now: T0 });
        expect(listed?.key).toEqual(keptKey);
        tamper(listed?.key.metadata, 'team');
      }
    });

    test('times far in the past and the future keep their milliseconds', async () => {
      const store = await open();
      for (const time of [0, 1, T0 + 1, 253_402_300_799_999]) {
        const key = await storeKey(store, {
          createTime: time,
          updateTime: time,
          expireTime: time,
          name: unique('n'),
        });
        expect(await store.getKey(key.id)).toEqual(key);
        const filter = {
          createdAfter: time,
          createdBefore: time + 1,
          expiresAfter: time,
          expiresBefore: time + 1,
        };
        expect(await store.countKeys(filter, T0)).toMatchObject({ total: 1 });
      }
    });
  });
}

/** Tries to write into a record. That it is frozen is as good as that it is a copy. */
function tamper(target: object | undefined, field: string): void {
  if (target === undefined) throw new Error('nothing was found');
  Reflect.set(target, field, 'tampered');
}
