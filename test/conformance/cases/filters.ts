import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Key, KeyState } from '../../../src/domain/key.ts';
import type { KeyFilter, KeyPosition, KeyStore } from '../../../src/storage/key-store.ts';
import { type ModelKey, modelCount, modelList } from '../filter-model.ts';
import type { OpenForCase } from '../key-store.ts';
import { idsOf, newBatch, storeKey, T0 } from '../samples.ts';

// Few values for each field, so that filters meet keys and times fall together.
const OWNERS = [
  { kind: 'user', id: '1' },
  { kind: 'user', id: '2' },
  { kind: 'team', id: '1' },
];
const STATES: readonly KeyState[] = ['active', 'disabled', 'expired', 'revoked'];
const time = fc.integer({ min: T0, max: T0 + 9 });

const FILTER_FIELDS: { readonly [Field in keyof KeyFilter]-?: fc.Arbitrary<KeyFilter[Field]> } = {
  keyspaces: fc.array(fc.constantFrom('acx', 'shop', 'web', 'none'), { maxLength: 4 }),
  owner: fc.constantFrom(...OWNERS),
  project: fc.constantFrom('', 'p1', 'p2'),
  states: fc.subarray([...STATES]),
  nameContains: fc.constantFrom('prod', 'ß', "'", '%', '_', 'ärg', '\u0000', '🔑', '', 'x'),
  displayPrefix: fc.constantFrom('acx_12345678', 'shop_1', 'acx_'),
  createdAfter: time,
  createdBefore: time,
  lastUsedAfter: time,
  lastUsedBefore: time,
  expiresAfter: time,
  expiresBefore: time,
};
const FIELD_NAMES = Object.keys(FILTER_FIELDS) as (keyof KeyFilter)[];

function filterOn(names: readonly (keyof KeyFilter)[]): fc.Arbitrary<KeyFilter> {
  const chosen = Object.fromEntries(names.map((name) => [name, FILTER_FIELDS[name]]));
  return fc.record(chosen) as fc.Arbitrary<KeyFilter>;
}

const optionalKeyFields = fc.record(
  {
    owner: fc.constantFrom(...OWNERS),
    project: fc.constantFrom('p1', 'p2'),
    expireTime: time,
    revokeTime: time,
  },
  { requiredKeys: [] },
);

const keyFields: fc.Arbitrary<Partial<Key>> = fc
  .tuple(
    optionalKeyFields,
    fc.record({
      keyspace: fc.constantFrom('acx', 'shop', 'web'),
      name: fc.constantFrom('Prod Straße', "o'brien 100%", 'ÄRGER_1', 'a\u0000b 🔑', '', 'PROD'),
      displayPrefix: fc.constantFrom('acx_12345678', 'shop_1'),
      disabled: fc.boolean(),
      createTime: time,
    }),
  )
  .map(([optional, required]) => ({ ...optional, ...required }));

const population = fc.array(fc.tuple(keyFields, fc.option(time)), { minLength: 80, maxLength: 80 });

export function filterCases(open: OpenForCase<KeyStore>): void {
  describe('filters', () => {
    test.each(FIELD_NAMES)('%s alone passes the keys that it should, for every page size', async (name) => {
      await compare(await open(), filterOn([name]), 25);
    });

    test('any filters together pass the keys that they should, for every page size', async () => {
      const some = fc.subarray(FIELD_NAMES, { maxLength: 4 }).chain(filterOn);
      await compare(await open(), some, 200);
    });
  });
}

/** Random keys in the store and in the model; random filters, pages and moments must find the same in both. */
async function compare(store: KeyStore, filters: fc.Arbitrary<KeyFilter>, numRuns: number): Promise<void> {
  const keys = await populate(store);
  await fc.assert(
    fc.asyncProperty(filters, fc.integer({ min: 1, max: 90 }), time, async (filter, limit, now) => {
      expect(await walk(store, filter, limit, now)).toEqual(modelList(keys, filter, now));
      expect(await store.countKeys(filter, now)).toEqual(modelCount(keys, filter, now));
    }),
    { numRuns },
  );
}

async function populate(store: KeyStore): Promise<ModelKey[]> {
  const [samples = []] = fc.sample(population, 1);
  const keys: ModelKey[] = [];
  for (const [fields, lastUsedTime] of samples) {
    const key = await storeKey(store, fields);
    const usage = lastUsedTime === null ? undefined : { count: 1, lastUsedTime };
    if (usage !== undefined) await store.addUsage(newBatch(), [{ keyId: key.id, ...usage }]);
    keys.push({ key, usage });
  }
  return keys;
}

async function walk(store: KeyStore, filter: KeyFilter, limit: number, now: number): Promise<string[]> {
  const ids: string[] = [];
  let after: KeyPosition | undefined;
  for (;;) {
    const page = await store.listKeys({ filter, limit, now, ...(after === undefined ? {} : { after }) });
    ids.push(...idsOf(page));
    const last = page.at(-1)?.key;
    if (last === undefined || page.length < limit) return ids;
    after = { createTime: last.createTime, id: last.id };
  }
}
