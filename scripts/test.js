// `npm test [-- files and options of vitest]`: the last line is `N passed, N failed, N skipped`, nothing after it.
// In CI a skipped test is a failure: a part that is missing there would hide what it tests.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateIfStale } from './generate.js';
import { root } from './run-tool.js';
import { setUpTests } from './setup-tests.js';

const inCi = Boolean(process.env.CI) && process.env.CI !== 'false';

/**
 * @typedef {{ status: string, fullName: string }} Test
 * @typedef {{ status: string, name: string, assertionResults: Test[] }} File
 */

generateIfStale();
const complete = setUpTests() || !inCi;
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-test-'));
const report = join(folder, 'report.json');
const code = complete ? await vitest(process.argv.slice(2)) : 1;
const { passed, failed, skipped } = count(readReport());
rmSync(folder, { recursive: true, force: true });

// (Tests after a failed set-up are skipped as well; the failure says enough.)
if (inCi && failed === 0) for (const name of skipped) console.error(`Skipped in CI: ${name}`);
const good = code === 0 && failed === 0 && !(inCi && skipped.length > 0);
process.exitCode = good ? 0 : 1;
// A run that broke off without naming a failed test has failed all the same.
const failures = code !== 0 && failed === 0 ? 1 : failed;
process.stdout.write(`\n${passed} passed, ${failures} failed, ${skipped.length} skipped\n`);

/**
 * @param {string[]} args
 * @returns {Promise<number>}
 */
function vitest(args) {
  const program = join(root, 'node_modules/vitest/vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const child = spawn(process.execPath, [program, 'run', ...reporters, ...args], {
    cwd: root,
    env: { ...process.env, NODE_COMPILE_CACHE: join(root, '.tools/compile-cache') },
    stdio: 'inherit',
  });
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM']))
    process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (status) => resolve(status ?? 1));
  });
}

/** @returns {File[]} */
function readReport() {
  try {
    return JSON.parse(readFileSync(report, 'utf8')).testResults;
  } catch {
    return [];
  }
}

/** @param {File[]} files */
function count(files) {
  const tests = files.flatMap((file) => file.assertionResults);
  const failedTests = tests.filter((test) => test.status === 'failed').length;
  // A file that could not even be loaded, or whose hooks failed, has no failed test to show for it.
  const failedFiles = files.filter(
    (file) => file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed'),
  ).length;
  return {
    passed: tests.filter((test) => test.status === 'passed').length,
    failed: failedTests + failedFiles,
    skipped: tests.filter((test) => !['passed', 'failed'].includes(test.status)).map((test) => test.fullName),
  };
}
