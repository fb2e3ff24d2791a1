// Programs that the tests talk to. Each is looked for on the PATH, then in .tools/bin; else it is fetched there, once.

import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { root } from './run-tool.js';

const BIN = join(root, '.tools/bin');
const STAMP = join(BIN, '.stamp');
const PINS = { GATEHOUSE_TEST_GRPCURL: 'github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4' };

/**
 * The environment of the tests: where each program is, empty where it is missing.
 * @returns {Record<keyof typeof PINS, string>}
 */
export function findTools() {
  return { GATEHOUSE_TEST_GRPCURL: onPath('grpcurl') ?? inProject('grpcurl') ?? '' };
}

/** Fetches what is missing. False where that failed, which stderr then tells. */
export function setUpTests() {
  if (Object.values(findTools()).every(Boolean)) return true;
  if (onPath('go') === undefined) {
    console.error(
      'MISSING: grpcurl, and no `go` on the PATH to build it with. Tests that need it are skipped.',
    );
    return false;
  }
  mkdirSync(BIN, { recursive: true });
  for (const pin of Object.values(PINS)) {
    console.error(`Fetching ${pin} into .tools/bin ...`);
    const { status } = spawnSync('go', ['install', pin], {
      stdio: ['ignore', 2, 2],
      env: { ...process.env, GOBIN: BIN },
    });
    if (status === 0) continue;
    console.error(`MISSING: ${pin} could not be built. Tests that need it are skipped.`);
    return false;
  }
  writeFileSync(STAMP, JSON.stringify(PINS));
  return true;
}

/** @param {string} name */
function inProject(name) {
  const pinned = existsSync(STAMP) && readFileSync(STAMP, 'utf8') === JSON.stringify(PINS);
  return pinned ? executable(BIN, name) : undefined;
}

/** @param {string} name */
function onPath(name) {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const found = executable(folder, name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * @param {string} folder
 * @param {string} name
 */
function executable(folder, name) {
  const file = join(folder, process.platform === 'win32' ? `${name}.exe` : name);
  try {
    accessSync(file, constants.X_OK);
    return file;
  } catch {
    return undefined;
  }
}
