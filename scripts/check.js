// `npm run check`: everything that can be said about the code without running it.

import { breaking } from './breaking.js';
import { BUF, borrowProtos, generateIfStale } from './generate.js';
import { runTool } from './run-tool.js';

generateIfStale();
borrowProtos();

/** @type {[string, () => number][]} */
const checks = [
  ['types', () => runTool('typescript/bin/tsc', ['--noEmit'])],
  ['lint and format', () => runTool('@biomejs/biome/bin/biome', ['check', '--error-on-warnings'])],
  ['proto lint', () => runTool(BUF, ['lint'])],
  ['proto breaking changes', breaking],
  ['import arrows', () => runTool('vitest/vitest.mjs', ['run', 'test/architecture/imports.test.ts'])],
];

const failed = [];
for (const [name, check] of checks) {
  console.log(`\n== ${name}`);
  if (check() !== 0) failed.push(name);
}
console.log(failed.length === 0 ? '\nAll checks passed.' : `\nFailed: ${failed.join(', ')}.`);
process.exitCode = failed.length === 0 ? 0 : 1;
