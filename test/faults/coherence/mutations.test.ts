/** The mutations still fit the sources: `npm run mutations` runs them, which takes minutes. */

import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { MUTATIONS, mutated } from './mutations.ts';

test.each(MUTATIONS)('a copy of the sources can be made without $name', (mutation) => {
  const { main, remove } = mutated(mutation);
  const files = mutation.edits.map(({ file }) => join(dirname(main), file));
  // One that does not even parse is caught by nothing, and found out minutes later.
  const checked = [...new Set(files)].map((file) =>
    spawnSync(process.execPath, ['--check', file], { encoding: 'utf8' }),
  );
  remove();
  expect(checked.map(({ stderr }) => stderr)).toEqual(checked.map(() => ''));
});
