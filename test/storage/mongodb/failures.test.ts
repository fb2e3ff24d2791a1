/** A server that is away, stopped or refuses: each call is rejected in time, in our own words, and works again afterwards. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Failure } from '../../../src/domain/failure.ts';
import { openMongoStore } from '../../../src/storage/mongodb/open.ts';
import type { MongoKeyStore } from '../../../src/storage/mongodb/store.ts';
import {
  changed,
  sampleKey,
  sampleOwner,
  sampleRequest,
  sampleSecret,
  storeKey,
  T0,
} from '../../conformance/samples.ts';
import { isMongod, MONGOD, type MongoServer, startMongo, withDatabase } from '../../support/mongodb.ts';
import { errorOfOpening } from './database.ts';

/** What a busy machine may take beyond the deadline. */
const SLACK_MS = 400;

/** How a call was rejected, and after how many milliseconds. @throws where it was not. */
async function rejection(call: () => Promise<unknown>): Promise<{ error: Failure; ms: number }> {
  const begun = performance.now();
  const error = await call().then(
    (answer) => new Error(`answered ${JSON.stringify(answer)}`),
    (reason: unknown) => reason,
  );
  if (!(error instanceof Failure)) throw error;
  return { error, ms: performance.now() - begun };
}

describe.skipIf(MONGOD === '')('a server that goes away', () => {
  let server: MongoServer;
  let store: MongoKeyStore;

  beforeAll(async () => {
    const testCommands = isMongod() ? ['--setParameter', 'enableTestCommands=1'] : ['--enable-test-commands'];
    server = await startMongo(MONGOD, { args: testCommands });
    store = await openMongoStore(server.uri('failures'));
  });
  afterAll(async () => {
    await store?.close();
    await server?.remove();
  });

  /** Lets the commands of a name fail so many times, as the server's own test facility does it. */
  function failing(times: number, data: object): Promise<unknown> {
    return withDatabase(server.uri('admin'), (database) =>
      database.command({ configureFailPoint: 'failCommand', mode: { times }, data }),
    );
  }

  test('while it is stopped each call is rejected by its deadline, and once it goes on all is well', async () => {
    const key = await storeKey(store);
    const next = sampleKey();
    const calls: Record<string, [ms: number, call: () => Promise<unknown>]> = {
      getKey: [500, () => store.getKey(key.id)],
      getOwner: [500, () => store.getOwner('acx/user:1')],
      findSecret: [500, () => store.findSecret('acx', 'any')],
      listKeyspaces: [500, () => store.listKeyspaces()],
      readRegistry: [900, () => store.readRegistry()],
      replaceKey: [900, () => store.replaceKey(changed(key, {}))],
      insertKey: [900, () => store.insertKey(next, sampleSecret(next))],
      insertSecret: [900, () => store.insertSecret(sampleSecret(key))],
      insertOwner: [900, () => store.insertOwner(sampleOwner())],
      insertRequest: [900, () => store.insertRequest(sampleRequest())],
      readRequest: [900, () => store.readRequest('request')],
      publishEvents: [900, () => store.publishEvents({ kind: 'key', id: key.id })],
      ping: [900, () => store.ping()],
      listKeys: [5000, () => store.listKeys({ filter: {}, limit: 1, now: T0 })],
      listChildren: [5000, () => store.listChildren(key.id, undefined, 1)],
      listOwners: [5000, () => store.listOwners({}, undefined, 1)],
      countKeys: [5000, () => store.countKeys({}, T0)],
    };
    const pid = server.pid ?? Number.NaN;
    process.kill(pid, 'SIGSTOP');
    try {
      // The signal takes its time to reach all threads.
      const answered = () =>
        store.listKeyspaces().then(
          () => true,
          () => false,
        );
      await expect.poll(answered).toBe(false);
      const all = Object.entries(calls).map(async ([name, [limit, call]]) => {
        const { error, ms } = await rejection(call);
        expect([name, error.kind, error.message]).toEqual([
          name,
          'unavailable',
          'the store cannot answer now',
        ]);
        expect(ms, name).toBeLessThan(limit + SLACK_MS);
      });
      await Promise.all(all);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await expect
      .poll(
        () =>
          store.ping().then(
            () => 'good',
            () => 'away',
          ),
        { timeout: 5000 },
      )
      .toBe('good');
    expect((await store.getKey(key.id))?.id).toBe(key.id);
    // What was rejected was done or was not; it was not half done.
    const found = await store.getKey(next.id);
    if (found !== undefined) expect(found).toEqual(next);
  });

  test('while it is stopped a call waits for as long as timeoutMS of the URI says', async () => {
    const patient = await openMongoStore(`${server.uri('failures')}&timeoutMS=1500`);
    const key = await storeKey(patient);
    const pid = server.pid ?? Number.NaN;
    process.kill(pid, 'SIGSTOP');
    try {
      const calls = [() => patient.getKey(key.id), () => patient.replaceKey(changed(key, {}))];
      await Promise.all(
        calls.map(async (call) => {
          const { error, ms } = await rejection(call);
          expect(error.kind).toBe('unavailable');
          expect(ms).toBeGreaterThan(1500 - 1);
          expect(ms).toBeLessThan(1500 + SLACK_MS);
        }),
      );
    } finally {
      process.kill(pid, 'SIGCONT');
      await patient.close();
    }
  });

  test('killed, each call is rejected at once or in time; started again, it is used again', async () => {
    const key = await storeKey(store);
    await server.kill();
    for (let round = 0; round < 3; round++) {
      const { error, ms } = await rejection(() => store.getKey(key.id));
      expect(error).toMatchObject({ kind: 'unavailable', message: 'the store cannot answer now' });
      expect(ms).toBeLessThan(500 + SLACK_MS);
      expect((await rejection(() => store.replaceKey(changed(key, {})))).ms).toBeLessThan(900 + SLACK_MS);
    }
    await server.start();
    await expect
      .poll(() => store.getKey(key.id).catch((error: unknown) => error), { timeout: 10_000 })
      .toEqual(key);
  });

  test('what the driver says is in the cause alone', async () => {
    const key = await storeKey(store);
    await failing(1, { failCommands: ['find'], errorCode: 96 });
    const { error } = await rejection(() => store.getKey(key.id));
    expect(error).toMatchObject({ kind: 'unavailable', message: 'the store cannot answer now' });
    expect(error.cause).toMatchObject({ name: 'MongoServerError', code: 96 });
    expect(await store.getKey(key.id)).toEqual(key);
  });

  test('a change that the majority did not confirm is no success, and is not taken for one that lost', async () => {
    const key = await storeKey(store);
    const unconfirmed = { writeConcernError: { code: 64, errmsg: 'waiting for replication timed out' } };
    await failing(1, { failCommands: ['update'], ...unconfirmed });
    expect((await rejection(() => store.replaceKey(changed(key, { name: 'next' })))).error.kind).toBe(
      'unavailable',
    );
    await failing(1, { failCommands: ['insert'], ...unconfirmed });
    const made = sampleKey();
    const secret = sampleSecret(made);
    expect((await rejection(() => store.insertKey(made, secret))).error.kind).toBe('unavailable');
    expect(await store.getKey(made.id)).toBeUndefined();
    // Said again it is done, whatever the first one did.
    expect(await store.insertKey(made, secret)).toBe(true);
  });

  test('a read or write is tried once more by the driver, within the deadline', async () => {
    const key = await storeKey(store);
    await failing(1, { failCommands: ['find'], closeConnection: true });
    expect(await store.getKey(key.id)).toEqual(key);
    await failing(1, { failCommands: ['update'], closeConnection: true });
    expect(await store.replaceKey(changed(key, {}))).toBe(true);
  });
});

describe('a timeoutMS', () => {
  test.each(['0', '99', '30001', '-1', '1e3', '', '2s'])('of "%s" stops the opening', async (value) => {
    const { message } = await errorOfOpening(
      `mongodb://gatehouse:hunter2@127.0.0.1:1/some?timeoutMS=${value}`,
    );
    expect(message).toBe(
      'the URI of MongoDB has a timeoutMS that is not 100 to 30000 milliseconds, the time for a call that reads or writes few documents',
    );
  });
});

describe('a server that is not there', () => {
  test('stops the opening within eleven seconds, in one sentence without the password', async () => {
    const begun = performance.now();
    const uris = ['127.0.0.1:1', 'nowhere.invalid:27017', '127.0.0.1:1,127.0.0.1:2'];
    const errors = await Promise.all(
      uris.map((servers) => errorOfOpening(`mongodb://gatehouse:hunter2@${servers}/some`)),
    );
    expect(performance.now() - begun).toBeLessThan(11_000 + SLACK_MS);
    for (const [index, { message }] of errors.entries()) {
      expect(message).toMatch(/^MongoDB at \S+\/some cannot be used: \w+$/);
      expect(message).toContain(` ${uris[index]}/`);
      expect(message).not.toContain('hunter2');
    }
  });

  test('named by DNS stops it as well', async () => {
    const { message } = await errorOfOpening('mongodb+srv://gatehouse:hunter2@nowhere.invalid/some');
    expect(message).toMatch(/^MongoDB at nowhere\.invalid\/some cannot be used: \w+$/);
  }, 20_000);

  test.each([
    'mongodb://',
    'mongodb://host:port/some',
    'mongodb://gatehouse:hunter2@host/some?noSuchOption=1',
    'mongodb://gatehouse:hunter2@host/some?tls=perhaps',
    'mongodb+srv://gatehouse:hunter2@host:27017/some',
  ])(
    'named by a URI that is none stops it at once, in one sentence without the password: %s',
    async (uri) => {
      const { message } = await errorOfOpening(uri);
      expect(message).toMatch(
        /^the URI of MongoDB (cannot be read|names no database for Gatehouse): [^\n]+$/,
      );
      expect(message).not.toContain('hunter2');
    },
  );
});
