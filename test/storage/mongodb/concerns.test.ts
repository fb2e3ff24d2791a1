/** What the promises of the store rest on, in each command: how fresh a read is, how safe a write is, and how long either may take. */

import type { Document } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dropDatabase, inDatabase, withDatabase, withoutTimeout } from '../../support/mongodb.ts';
import { type Command, commandsOf, filtersOf } from './commands.ts';
import { SERVER } from './database.ts';
import { move, serve } from './shapes.ts';

const WRITES = ['insert', 'update', 'delete'];

describe.skipIf(SERVER === '')('a command of the store', () => {
  const uri = withoutTimeout(inDatabase(SERVER, `gatehouse-test-concerns-${process.pid}`));
  let served: readonly Command[];
  let moved: readonly Command[];
  let replicated: boolean;

  beforeAll(async () => {
    served = await commandsOf(uri, serve);
    moved = await commandsOf(uri, move);
    const hello = await withDatabase(uri, (database) => database.command({ hello: 1 }));
    replicated = hello.setName !== undefined || hello.msg === 'isdbgrid';
  });
  afterAll(() => dropDatabase(uri));

  test('that writes is acknowledged when a majority has it on disk', () => {
    const writes = [...served, ...moved].filter(({ name }) => WRITES.includes(name));
    expect(new Set(writes.map(({ name, body }) => `${name} ${body[name]}`)).size).toBeGreaterThan(8);
    for (const { body } of writes) {
      expect(body.writeConcern, JSON.stringify(body)).toMatchObject({ w: 'majority', j: true });
      expect(body.writeConcern.wtimeout, JSON.stringify(body)).toBeLessThanOrEqual(body.maxTimeMS);
    }
  });

  test('that a Verify decides by reads what is true when it is asked, not what was', async () => {
    const verify = await commandsOf(uri, async (store) => {
      await store.listKeyspaces();
      await store.findSecret('acx', 'lookup');
      await store.getKey('key_1');
      await store.getOwner('acx/user:1');
    });
    expect(verify.map(({ name, body }) => [name, body.find])).toEqual([
      ['find', 'keyspaces'],
      ['find', 'secrets'],
      ['find', 'keys'],
      ['find', 'owners'],
    ]);
    for (const { body } of verify) {
      expect(body.readConcern?.level).toBe(replicated ? 'linearizable' : 'majority');
      expect(body.maxTimeMS).toBe(500);
    }
  });

  test('that reads gives nothing that may be rolled back', () => {
    const reads = [...served, ...moved].filter(({ name }) => name === 'find' || name === 'aggregate');
    for (const { body } of reads) {
      expect(['majority', 'linearizable'], JSON.stringify(body)).toContain(body.readConcern?.level);
    }
  });

  test('that finds a record by _id is linearizable, so that a change is made to what is there', () => {
    const records = served
      .filter((one) => one.name === 'find' && filtersOf(one).some(isText))
      .filter(({ body }) => body.find !== 'usage');
    expect(new Set(records.map(({ body }) => body.find))).toEqual(
      new Set(['keys', 'meta', 'secrets', 'keyspaces', 'owners', 'requests']),
    );
    for (const { body } of records) {
      expect(body.readConcern?.level, JSON.stringify(body)).toBe(replicated ? 'linearizable' : 'majority');
    }
  });

  test('tells the server by when nobody waits any more: within a second, where it is about one record', () => {
    // A cursor has the time of the command that opened it.
    const timed = [...served, ...moved].filter(({ name }) => !['getMore', 'killCursors'].includes(name));
    for (const { body } of timed) expect(body.maxTimeMS, JSON.stringify(body)).toBeGreaterThan(0);
    const single = served
      .filter((one) => filtersOf(one).length === 1 && filtersOf(one).every(isText))
      .filter(({ name, body }) => body[name] !== 'usage');
    expect(single.length).toBeGreaterThan(10);
    for (const { body } of single) expect(body.maxTimeMS, JSON.stringify(body)).toBeLessThanOrEqual(1000);
  });
});

function isText({ _id }: Document): boolean {
  return typeof _id === 'string';
}
