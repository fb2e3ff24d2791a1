// Makes src/gen out of the .proto files. `npm run generate` always does it. The other scripts do it when src/gen is
// missing or older than its sources, so that a checkout installed with `--ignore-scripts` works as well.

import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasTool, root, runTool } from './run-tool.js';

export const BUF = '@bufbuild/buf/bin/buf';
const GENERATOR = '@bufbuild/protoc-gen-es/bin/protoc-gen-es';
const GEN = join(root, 'src/gen');
const STAMP = join(GEN, '.stamp');
/** Git ignores it; buf.yaml names the protos in it. */
const TOOLS = join(root, '.tools');

// Standard protos come out of pinned packages: path under node_modules, and the path that imports name.
const googleapis = '@grpc/grpc-js-xds/deps/googleapis';
const BORROWED = [
  { from: 'grpc-health-check/proto/health/v1', to: 'grpc/health/v1' },
  { from: '@grpc/reflection/build/proto/grpc/reflection', to: 'grpc/reflection' },
  { from: `${googleapis}/google/rpc/code.proto`, to: 'google/rpc/code.proto' },
  { from: `${googleapis}/google/rpc/error_details.proto`, to: 'google/rpc/error_details.proto' },
  { from: `${googleapis}/google/rpc/status.proto`, to: 'google/rpc/status.proto' },
];

/** Every run of buf needs them in place. */
export function borrowProtos() {
  for (const { from, to } of BORROWED) {
    cpSync(join(root, 'node_modules', from), join(TOOLS, 'proto', to), { recursive: true });
  }
}

export function generate() {
  if (!canGenerate()) {
    throw new Error('src/gen has to be generated, which needs the development dependencies: run `npm ci`.');
  }
  const stamp = digestOfSources();
  rmSync(join(TOOLS, 'proto'), { recursive: true, force: true });
  borrowProtos();
  // Made beside its place and then moved there: nobody reads half of it.
  const made = mkdtempSync(join(TOOLS, 'gen-'));
  try {
    if (runTool(BUF, ['generate', '--output', made], { quiet: true }) !== 0) {
      throw new Error('src/gen could not be generated.');
    }
    writeFileSync(join(made, 'src/gen/.stamp'), stamp);
    mkdirSync(join(root, 'src'), { recursive: true });
    rmSync(GEN, { recursive: true, force: true });
    renameSync(join(made, 'src/gen'), GEN);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

/** Takes a few milliseconds where there is nothing to do. */
export function generateIfStale() {
  if (!existsSync(STAMP)) generate();
  // An image or an installation for production keeps what it was built with.
  else if (canGenerate() && readFileSync(STAMP, 'utf8') !== digestOfSources()) generate();
}

function canGenerate() {
  return hasTool(BUF) && hasTool(GENERATOR) && existsSync(join(root, 'proto'));
}

function digestOfSources() {
  const hash = createHash('sha256');
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  hash.update(JSON.stringify(devDependencies));
  const files = ['buf.yaml', 'buf.gen.yaml', 'scripts/generate.js'];
  for (const folder of ['proto', 'third_party']) {
    const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
    files.push(...names.sort().flatMap((name) => (name.endsWith('.proto') ? [join(folder, name)] : [])));
  }
  for (const file of files) hash.update(`${file}\n`).update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  // npx runs `prepare` in a checkout too, before `npm ci` and where the development dependencies are gone: no failure.
  if (!process.argv.includes('--prepare')) generate();
  else if (canGenerate()) generateIfStale();
}
