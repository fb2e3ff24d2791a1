/** Servers that let only some in: by user and password, or over TLS. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openMongoStore } from '../../../src/storage/mongodb/open.ts';
import { storeKey } from '../../conformance/samples.ts';
import { hasOpenssl, makeCertificate } from '../../support/certificate.ts';
import { isMongod, MONGOD, type MongoServer, startMongo, withDatabase } from '../../support/mongodb.ts';
import { errorOfOpening } from './database.ts';

/** Opens a store, uses it and closes it. */
async function use(uri: string): Promise<void> {
  const store = await openMongoStore(uri);
  try {
    const key = await storeKey(store);
    expect(await store.getKey(key.id)).toEqual(key);
  } finally {
    await store.close();
  }
}

describe.skipIf(MONGOD === '')('a server with users', () => {
  const PASSWORD = 'hunter2:/@%';
  let server: MongoServer;

  beforeAll(async () => {
    // (A replica set of mongod would ask for a key file as well.)
    server = await startMongo(MONGOD, { standalone: isMongod() });
    await withDatabase(server.uri('admin'), (database) =>
      database.command({
        createUser: 'gatehouse',
        pwd: PASSWORD,
        roles: [{ role: 'readWrite', db: 'some' }],
      }),
    );
    await server.stop();
    await server.start('--auth');
  });
  afterAll(() => server?.remove());

  const uriWith = (credentials: string) =>
    `${server.uri('some').replace('://', `://${credentials}`)}&authSource=admin`;

  test('lets the user of the URI in', async () => {
    await use(uriWith(`gatehouse:${encodeURIComponent(PASSWORD)}@`));
  });

  test.each([
    ['another password', `gatehouse:${encodeURIComponent('hunter2-not')}@`],
    ['a user that it does not know', `nobody:${encodeURIComponent(PASSWORD)}@`],
    ['no user', ''],
  ])(
    'stops the opening with %s at once, in one sentence without the password',
    async (_what, credentials) => {
      const begun = performance.now();
      const { message } = await errorOfOpening(uriWith(credentials));
      expect(message).toMatch(
        /^MongoDB at 127\.0\.0\.1:\d+\/some (refuses the user or password \(|asks for a user with readWrite)/,
      );
      expect(performance.now() - begun).toBeLessThan(5000);
    },
  );
});

describe.skipIf(MONGOD === '' || !hasOpenssl)('a server with TLS', () => {
  let folder: string;
  let server: MongoServer;
  const path = (name: string) => join(folder, name);

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'gatehouse-test-'));
    for (const name of ['server', 'stranger']) makeCertificate(path(`${name}.crt`), path(`${name}.key`));
    writeFileSync(
      path('both.pem'),
      ['server.crt', 'server.key'].map((name) => readFileSync(path(name))).join(''),
    );
    const ofMongod = ['--tlsMode', 'requireTLS', '--tlsCertificateKeyFile', path('both.pem')];
    const anyClient = ['--tlsCAFile', path('server.crt'), '--tlsAllowConnectionsWithoutCertificates'];
    server = await startMongo(MONGOD, {
      standalone: isMongod(),
      host: 'localhost',
      args: isMongod()
        ? [...ofMongod, ...anyClient]
        : ['--tls-cert-file', path('server.crt'), '--tls-key-file', path('server.key')],
      uriOptions: `&tls=true&tlsCAFile=${encodeURIComponent(path('server.crt'))}`,
    });
  });
  afterAll(async () => {
    await server?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  test('is used over TLS where the URI names its authority', async () => {
    await use(server.uri('some'));
  });

  test('is not used without TLS, nor where its certificate is not vouched for: one sentence each', async () => {
    const good = server.uri('some');
    const bad = [
      good.replace(/&tls=.*/, ''),
      // Under the authorities that everybody trusts, under another one, and under one whose file is not there.
      good.replace(/&tlsCAFile=.*/, ''),
      good.replace('server.crt', 'stranger.crt'),
      good.replace('server.crt', 'none.crt'),
    ];
    for (const { message } of await Promise.all(bad.map(errorOfOpening))) {
      expect(message).toMatch(/^MongoDB at localhost:\d+\/some cannot be used: \w+$/);
    }
  });
});
