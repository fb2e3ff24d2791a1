/** Programs beside `npm test` that start servers of their own: they set up what they need, or say in a line what is missing. */

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

test.each(['soak', 'mutations'])('npm run %s sets up what is not there', (name) => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  expect(scripts[name]).toContain('--import ./scripts/tools.js');
});

test('what cannot be set up ends them, with a line that names it', () => {
  const checkout = mkdtempSync(join(tmpdir(), 'gatehouse-test-'));
  onTestFinished(() => rmSync(checkout, { recursive: true }));
  cpSync(join(ROOT, 'scripts'), join(checkout, 'scripts'), { recursive: true });
  cpSync(join(ROOT, 'package.json'), join(checkout, 'package.json'));
  mkdirSync(join(checkout, 'test'));
  cpSync(join(ROOT, 'test/requirements.txt'), join(checkout, 'test/requirements.txt'));
  cpSync(join(ROOT, 'test/h2spec'), join(checkout, 'test/h2spec'), { recursive: true });
  const { status, stderr, stdout } = spawnSync(
    process.execPath,
    ['--import', './scripts/tools.js', '--eval', 'console.log("begun")'],
    { cwd: checkout, env: { PATH: join(checkout, 'nothing') }, encoding: 'utf8' },
  );
  expect(stderr).toMatch(/^MISSING: Python packages .* no `python3` on the PATH/m);
  expect([status, stdout]).toEqual([1, '']);
});
