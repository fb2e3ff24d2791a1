/** The mutations still fit the sources: `npm run mutations` runs them, which takes minutes. */

import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { MUTATIONS, mutated } from './mutations.ts';

test.each(MUTATIONS)('a copy of the sources can be made without $name', (mutation) => {
  const { main, remove } = mutated(mutation);
  expect(existsSync(main)).toBe(true);
  remove();
});
