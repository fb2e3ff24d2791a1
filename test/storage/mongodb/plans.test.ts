/** No query walks a whole collection: each is by `_id`, or names the index that the table in queries.ts gives it. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LISTING_INDEXES, QUERIES, type Query } from '../../../src/storage/mongodb/queries.ts';
import { INDEXES } from '../../../src/storage/mongodb/schema.ts';
import { dropDatabase, inDatabase, withDatabase } from '../../support/mongodb.ts';
import { type Command, commandsOf, filtersOf, isById } from './commands.ts';
import { SERVER } from './database.ts';
import { filterShapes, listAndCount, move, serve } from './shapes.ts';

type Served = Pick<Query, 'collection' | 'index'>;

const COLLECTIONS = Object.keys(INDEXES) as (keyof typeof INDEXES)[];
const KNOWN = ['aggregate', 'count', 'delete', 'find', 'getMore', 'insert', 'killCursors', 'update'];
/** Stages of a mongod's plan that go by `_id` without naming its index. */
const STRAIGHT_BY_ID = ['IDHACK', 'EXPRESS_IXSCAN', 'EXPRESS_UPDATE', 'EXPRESS_DELETE'];

/** All that the table has, by the names of its entries. */
const TABLE: Readonly<Record<keyof typeof QUERIES | 'listings', readonly Served[]>> = {
  keyspaces: [QUERIES.keyspaces()],
  unpublished: [QUERIES.unpublished('keys'), QUERIES.unpublished('keyspaces'), QUERIES.unpublished('owners')],
  childrenOf: [QUERIES.childrenOf('key_1', undefined)],
  owners: [QUERIES.owners({}, undefined)],
  unmarkedOwners: [QUERIES.unmarkedOwners()],
  secretsUnder: [QUERIES.secretsUnder('p1')],
  peppers: [QUERIES.peppers()],
  eventsOf: [QUERIES.eventsOf({ kind: 'key', id: 'key_1' })],
  moved: COLLECTIONS.map((collection) => QUERIES.moved(collection, {})),
  listings: LISTING_INDEXES.map(({ index }) => ({ collection: 'keys', index })),
};

const entryOf = ({ collection, index }: Served) => `${collection} by ${index}`;
const ENTRIES = new Set(Object.values(TABLE).flat().map(entryOf));

/** The entry of the table that a command names. */
const namedBy = ({ name, body }: Command) => `${body[name]} by ${body.hint}`;

describe.skipIf(SERVER === '')('what the store sends', () => {
  const uri = inDatabase(SERVER, `gatehouse-test-plans-${process.pid}`);
  let commands: readonly Command[];
  /** Whether this is MongoDB itself: the server that the tests install has no storage engines to name. */
  let isMongoDb: boolean;

  beforeAll(async () => {
    const sent = await commandsOf(uri, async (store) => {
      await serve(store);
      await move(store);
      for (const filter of filterShapes()) await listAndCount(store, filter);
    });
    commands = [...new Map(sent.map((one) => [JSON.stringify(one), one])).values()];
    const build = await withDatabase(uri, (database) => database.command({ buildInfo: 1 }));
    isMongoDb = Array.isArray(build.storageEngines);
  }, 60_000);
  afterAll(() => dropDatabase(uri));

  const named = (...names: string[]) => commands.filter(({ name }) => names.includes(name));

  test('is by _id, or names an index of the table', () => {
    const reads = named('find', 'aggregate').filter((one) => !filtersOf(one).some(isById));
    expect(reads.length).toBeGreaterThan(500);
    expect(reads.filter((one) => !ENTRIES.has(namedBy(one)))).toEqual([]);
    const changes = named('update', 'delete');
    expect(changes.length).toBeGreaterThan(5);
    expect(changes.filter((one) => !filtersOf(one).every(isById))).toEqual([]);
  });

  test('is nothing else than that: no other command looks for documents', () => {
    expect(commands.filter(({ name }) => !KNOWN.includes(name))).toEqual([]);
    // A count without a question is one that the server keeps.
    for (const { body } of named('count')) expect(body.query ?? {}).toEqual({});
  });

  test('uses all of the table', () => {
    const used = new Set(named('find', 'aggregate').map(namedBy));
    expect([...ENTRIES].filter((entry) => !used.has(entry))).toEqual([]);
  });

  test('asks for the order in which its index has the documents', () => {
    for (const { body } of named('find')) {
      // The children of one key are few, and sorted.
      if (body.sort === undefined || body.hint === 'by_parent') continue;
      const index = INDEXES[body.find as keyof typeof INDEXES].find(({ name }) => name === body.hint);
      const sort = [...(body.sort as Map<string, number>)];
      expect(Object.entries(index?.key ?? { _id: 1 }).slice(-sort.length), body.hint).toEqual(sort);
    }
  });

  test('is served so by the word of the server: no scan of a collection, no sorting, no other index', async () => {
    const explained = isMongoDb ? ['find', 'aggregate', 'update', 'delete'] : ['find', 'aggregate'];
    await withDatabase(uri, async (database) => {
      for (const { body } of named(...explained)) {
        const { readConcern: _, writeConcern: __, maxTimeMS: ___, ...command } = body;
        const answer = await database.command({ explain: command, verbosity: 'queryPlanner' });
        const { stages, indexes } = planIn(answer);
        const what = JSON.stringify(answer);
        expect(stages, what).not.toContain('COLLSCAN');
        // The other server sorts what it has read in order already.
        if (isMongoDb && body.hint !== 'by_parent') expect(stages, what).not.toContain('SORT');
        const straight = stages.some((stage) => STRAIGHT_BY_ID.includes(stage));
        expect([...new Set(indexes)], what).toEqual(straight ? expect.anything() : [body.hint ?? '_id_']);
      }
    });
  }, 60_000);
});

/** The stages and indexes of the plan that won, however deep they stand. */
function planIn(explained: unknown): { readonly stages: string[]; readonly indexes: string[] } {
  const stages: string[] = [];
  const indexes: string[] = [];
  const walk = (value: unknown) => {
    if (typeof value !== 'object' || value === null) return;
    for (const [field, inner] of Object.entries(value)) {
      if (field === 'stage') stages.push(String(inner));
      else if (field === 'indexName') indexes.push(String(inner));
      else if (field !== 'rejectedPlans' && field !== 'command') walk(inner);
    }
  };
  walk(explained);
  return { stages, indexes };
}
