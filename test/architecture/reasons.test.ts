/** Programs read the reasons of errors, so each is listed in one place. */

import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** A reason as the code gives it: the text in capitals behind a failure's kind, or in front of its message. */
const REASON = /(?:new Failure\(\s*'[a-z-]+'|denied\(|reason:)[\s,]*'([A-Z][A-Z0-9_]+)'/g;

test('every reason that the code gives is in docs/errors.md', () => {
  const sources = globSync('src/**/*.ts', { cwd: ROOT, exclude: ['src/gen/**'] });
  const given = new Set(
    sources.flatMap((file) =>
      [...readFileSync(`${ROOT}${file}`, 'utf8').matchAll(REASON)].map(([, reason = '']) => reason),
    ),
  );
  expect(given.size).toBeGreaterThan(20);
  const documented = readFileSync(`${ROOT}docs/errors.md`, 'utf8');
  expect([...given].filter((reason) => !documented.includes(`| ${reason} |`))).toEqual([]);
});
