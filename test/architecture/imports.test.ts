// The arrows of docs/architecture.md: imports run downwards only and in no circle, and each driver is named in one
// place.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const SRC = `${dirname(dirname(dirname(fileURLToPath(import.meta.url))))}/src`;

const UNDER_KEYS = ['verification', 'coherence', 'storage', 'domain', 'telemetry'];
const EDGE = ['keys', ...UNDER_KEYS, 'gen'];

/** A part is a folder or a file of src. It may import itself and what stands here. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  main: ['app', 'settings', 'greeting', 'workers', 'telemetry'],
  greeting: ['app', 'settings', 'storage'],
  app: ['settings', 'rpc', 'hooks', 'workers', ...EDGE],
  workers: ['telemetry'],
  rpc: EDGE,
  hooks: EDGE,
  cli: ['client', ...EDGE],
  client: ['domain', 'telemetry', 'gen'],
  keys: UNDER_KEYS,
  verification: ['coherence', 'storage', 'domain', 'telemetry'],
  coherence: ['storage', 'domain', 'telemetry'],
  storage: ['domain', 'telemetry'],
  telemetry: ['domain'],
  settings: ['domain'],
  domain: [],
};

/** `gatehouse serve` is the service itself, under the command's roof. */
const EXCEPTIONS: Readonly<Record<string, readonly string[]>> = { 'cli/serve.ts': ['main'] };

/** What may be named only under these paths of src. A package's name stands for all its entry points. */
const HOMES: Readonly<Record<string, readonly string[]>> = {
  'node:sqlite': ['storage/sqlite/'],
  mongodb: ['storage/mongodb/'],
  ioredis: ['storage/redis/'],
  'node:cluster': ['workers/'],
  'node:http': ['rpc/', 'client/'],
  'node:http2': ['rpc/', 'client/'],
  'node:https': ['rpc/', 'client/'],
  '@connectrpc': ['rpc/', 'client/'],
  '@bufbuild': ['app.ts', 'rpc/', 'hooks/', 'cli/', 'client/'],
  '@grpc/grpc-js': ['client/', 'cli/'],
  'prom-client': ['telemetry/'],
  pino: ['telemetry/'],
  '@node-rs/argon2': ['verification/'],
  'process.env': ['settings.ts', 'cli/'],
};

const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*['"]([^'"]+)['"]/g;
const ENVIRONMENT = /\bprocess\.env\b|\benv\b[^;]*\bfrom\s+['"](?:node:)?process['"]/;

/** The part of src that a path belongs to: `rpc/server.ts` to `rpc`, `app.ts` to `app`. */
const partOf = (path: string): string => path.split('/')[0]?.replace(/\.[cm]?[jt]s$/, '') ?? '';

function violations(file: string, source: string): string[] {
  const code = source.replace(/^\s*(?:\/\/|\/?\*).*$/gm, '');
  const found: string[] = [];
  const named = [...code.matchAll(IMPORT)].map(([, specifier = '']) => specifier);
  if (ENVIRONMENT.test(code)) named.push('process.env');
  const part = partOf(file);
  const allowed = ARROWS[part];
  if (allowed === undefined) return [`${file}: src/${part} has no arrows in this test`];

  for (const name of named) {
    if (name.startsWith('.')) {
      const target = posix.join(posix.dirname(file), name);
      const to = partOf(target);
      const arrows = [...allowed, ...(EXCEPTIONS[file] ?? [])];
      if (to !== part && !arrows.includes(to)) found.push(`${file}: ${part} -> ${to} (${name})`);
      continue;
    }
    for (const [driver, homes] of Object.entries(HOMES)) {
      const same = name === driver || name.startsWith(`${driver}/`);
      if (same && !homes.some((home) => file.startsWith(home))) found.push(`${file}: names ${name}`);
    }
  }
  return found;
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .map((name) => name.replaceAll('\\', '/'))
  .filter((name) => name.endsWith('.ts') && !name.startsWith('gen/'));

test('src keeps to the arrows', () => {
  expect(files.length).toBeGreaterThan(0);
  expect(files.flatMap((file) => violations(file, readFileSync(`${SRC}/${file}`, 'utf8')))).toEqual([]);
});

/** The files of the first circle of imports, types included; empty where there is none. */
function circle(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const search = (file: string, way: readonly string[]): string[] => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    if (done.has(file)) return [];
    for (const next of imports.get(file) ?? []) {
      const found = search(next, [...way, file]);
      if (found.length > 0) return found;
    }
    done.add(file);
    return [];
  };
  for (const file of imports.keys()) {
    const found = search(file, []);
    if (found.length > 0) return found;
  }
  return [];
}

test('no files of src import each other in a circle', () => {
  const importsOf = (file: string) =>
    [...readFileSync(`${SRC}/${file}`, 'utf8').matchAll(IMPORT)]
      .map(([, name = '']) => name)
      .filter((name) => name.startsWith('.'))
      .map((name) => posix.join(posix.dirname(file), name));
  expect(circle(new Map(files.map((file) => [file, importsOf(file)])))).toEqual([]);
});

describe('the test sees', () => {
  test('a circle', () => {
    const imports = { a: ['b', 'c'], b: ['c'], c: ['d'], d: ['b'] };
    expect(circle(new Map(Object.entries(imports)))).toEqual(['b', 'c', 'd', 'b']);
  });

  test.each([
    [
      'an arrow upwards',
      'storage/cache/memory.ts',
      "import { verify } from '../../verification/verifier.ts';",
    ],
    ['an arrow sideways', 'rpc/server.ts', "import type { A } from '../hooks/ext-authz.ts';"],
    ['the domain importing the project', 'domain/key.ts', "export * from '../telemetry/logger.ts';"],
    ['the domain importing protobuf', 'domain/key.ts', "import { create } from '@bufbuild/protobuf';"],
    ['generated code below the edge', 'keys/create.ts', "import type { Key } from '../gen/x/key_pb.js';"],
    ['settings below app', 'rpc/server.ts', "import type { Settings } from '../settings.ts';"],
    ['an import on several lines', 'keys/read.ts', "import {\n  a,\n  b,\n} from '../rpc/errors.ts';"],
    ['an import for its effect', 'keys/read.ts', "import '../rpc/errors.ts';"],
    ['an import at run time', 'keys/read.ts', "const x = await import('../rpc/errors.ts');"],
    ['a driver outside its folder', 'storage/mongodb/a.ts', "import { DatabaseSync } from 'node:sqlite';"],
    ['an entry point of a driver', 'keys/read.ts', "import { x } from '@connectrpc/connect-node';"],
    ['grpc-js in the server', 'rpc/server.ts', "import { Server } from '@grpc/grpc-js';"],
    ['a reader of the environment', 'app.ts', 'const port = process.env.PORT;'],
    ['a reader of the environment by import', 'app.ts', "import { env } from 'node:process';"],
    ['a folder without arrows', 'helpers/a.ts', ''],
  ])('%s', (_what, file, source) => {
    expect(violations(file, source)).toHaveLength(1);
  });

  test('nothing wrong in what is allowed', () => {
    const source = [
      "import { readFileSync } from 'node:fs';",
      "import { judge } from '../../domain/verdict.ts';",
      "import { near } from './near.ts';",
      "import { DatabaseSync } from 'node:sqlite';",
      "// import { x } from '../../rpc/server.ts', and process.env",
    ].join('\n');
    expect(violations('storage/sqlite/store.ts', source)).toEqual([]);
  });
});
