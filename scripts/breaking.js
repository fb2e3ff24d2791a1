// The contract, compared with what git has of it: nothing that callers build on may change or go.
// A break that is meant is named in buf.yaml (`breaking: ignore_only`), where a reviewer sees it.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BUF } from './generate.js';
import { root, runTool } from './run-tool.js';

export function breaking() {
  const base = earlierCommit();
  if (base === undefined) {
    console.log('Skipped: git has no earlier proto/ here to compare with.');
    return 0;
  }
  console.log(`Compared with commit ${base.slice(0, 12)}.`);
  const before = mkdtempSync(join(tmpdir(), 'gatehouse-proto-'));
  try {
    for (const name of ['buf.yaml', 'third_party', '.tools/proto']) {
      cpSync(join(root, name), join(before, name), { recursive: true });
    }
    const archive = git('archive', '--format=tar', base, 'proto');
    const untar = spawnSync('tar', ['-x', '-C', before], { input: archive, stdio: ['pipe', 'ignore', 2] });
    if (archive === undefined || untar.status !== 0) throw new Error(`proto/ of ${base} could not be read.`);
    return runTool(BUF, ['breaking', '--against', before]);
  } finally {
    rmSync(before, { recursive: true, force: true });
  }
}

/**
 * On a branch, where it left main. On main, the last commit, or the one before it when proto/ is as committed.
 */
function earlierCommit() {
  const unchanged = git('status', '--porcelain', '--', 'proto')?.length === 0;
  const head = commit('HEAD');
  const forks = ['main', 'origin/main'].map((name) => commit('merge-base', 'HEAD', name));
  const candidates = [...forks.filter((fork) => fork !== head), unchanged ? commit('HEAD^') : head];
  return candidates.find((name) => name !== undefined && git('cat-file', '-e', `${name}:./proto`));
}

/** @param {string[]} args */
function commit(...args) {
  const command = args.length > 1 ? args : ['rev-parse', '--quiet', '--verify', ...args];
  return git(...command)
    ?.toString()
    .trim();
}

/** @param {string[]} args */
function git(...args) {
  const { status, stdout } = spawnSync('git', args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'ignore'],
    maxBuffer: 2 ** 27,
  });
  return status === 0 ? stdout : undefined;
}
