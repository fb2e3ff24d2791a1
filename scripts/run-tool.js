// Programs of the development dependencies, run by the Node that runs the script: also without shells and shims.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** @param {string} program path under node_modules */
export const hasTool = (program) => existsSync(join(root, 'node_modules', program));

/**
 * Runs a program in the project's folder and returns its exit code.
 * @param {string} program path under node_modules
 * @param {string[]} args
 * @param {{ quiet?: boolean }} [options] quiet: its output goes to stderr, for stdout belongs to somebody else
 */
export function runTool(program, args, { quiet = false } = {}) {
  const path = `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ''}`;
  const { status, error } = spawnSync(process.execPath, [join(root, 'node_modules', program), ...args], {
    cwd: root,
    stdio: quiet ? ['ignore', 2, 2] : ['ignore', 1, 2],
    // buf starts its plugin by the name `node`: it gets this one.
    env: { ...process.env, PATH: path },
  });
  if (error) throw error;
  return status ?? 1;
}
