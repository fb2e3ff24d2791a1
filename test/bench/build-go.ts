/** Builds the load generator of `go/load`. What it takes as arguments and prints is told by `load -h`. */

import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const SOURCES = join(import.meta.dirname, 'go');

let built: Promise<string> | undefined;

/**
 * Builds once for each process.
 *
 * @returns the program's path, in a temporary folder that goes with this process.
 * @throws Error where there is no Go on the PATH, or with what the compiler says.
 */
export function buildGo(): Promise<string> {
  built ??= build();
  return built;
}

async function build(): Promise<string> {
  if (spawnSync('go', ['version']).error !== undefined) {
    throw new Error(
      'the benches need Go on the PATH, which their load generator is built with: https://go.dev/dl',
    );
  }
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-load-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, 'load');
  await promisify(execFile)('go', ['build', '-trimpath', '-o', program, './load'], { cwd: SOURCES });
  return program;
}
