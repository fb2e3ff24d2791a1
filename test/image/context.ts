/** The files that a build of a fresh checkout is given: what git has or would take, without what .dockerignore keeps out. */

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ignoredBy } from './dockerignore.ts';

/** @returns paths relative to the checkout; undefined where it is none, such as an unpacked archive. */
export function contextFiles(checkout: string): string[] | undefined {
  const arguments_ = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const { status, stdout } = spawnSync('git', arguments_, { cwd: checkout, encoding: 'utf8' });
  if (status !== 0) return undefined;
  const ignored = ignoredBy(readFileSync(join(checkout, '.dockerignore'), 'utf8'));
  const names = stdout.split('\0').filter((name) => name !== '' && !ignored(name));
  // Git still names a file that was deleted and not committed.
  return names.filter((name) => existsSync(join(checkout, name)));
}

/** Copies them, as they are now, committed or not. */
export function copyContext(checkout: string, files: readonly string[], target: string): void {
  for (const file of files) cpSync(join(checkout, file), join(target, file), { preserveTimestamps: true });
}
