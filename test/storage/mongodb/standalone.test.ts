/** A server on its own, which has no others to ask: everything but `linearizable`. */

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { openMongoStore } from '../../../src/storage/mongodb/open.ts';
import { changeCases } from '../../conformance/cases/changes.ts';
import { insertCases } from '../../conformance/cases/inserts.ts';
import { MONGOD, type MongoServer, startMongo } from '../../support/mongodb.ts';
import { commandsOf } from './commands.ts';

describe.skipIf(MONGOD === '')('over a server that is no replica set', () => {
  let server: MongoServer;
  beforeAll(async () => {
    server = await startMongo(MONGOD, { standalone: true });
  });
  afterAll(() => server?.remove());

  test('reads are as fresh as they can be', async () => {
    const commands = await commandsOf(server.uri('concerns'), async (store) => {
      await store.getKey('key_1');
      await store.ping();
    });
    expect(commands.map(({ body }) => body.readConcern?.level)).toEqual(['majority', undefined]);
    expect(commands[1]?.body.writeConcern).toMatchObject({ w: 'majority', j: true });
  });

  async function open() {
    const store = await openMongoStore(server.uri(randomUUID()));
    onTestFinished(() => store.close());
    return store;
  }
  insertCases(open);
  changeCases(open);
});
