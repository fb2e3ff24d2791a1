/** The protocol of docs/revocation.md, explored exhaustively within small bounds: `npm run model -- --large` has larger ones. */

import { describe, expect, test } from 'vitest';
import { explore, MUTATIONS, SMALL } from './run.js';

const PATIENCE = 300_000;
/** All of them are for the command: each is compiled by itself. */
const QUICK = MUTATIONS.filter(({ name }) =>
  ['wait', 'lease', 'sending', 'token', 'loads', 'take', 'lapse'].includes(name),
);

describe('the model of revocation', () => {
  test.each(SMALL)(
    'no Verify that starts after an OK is answered from an older record: $name',
    { timeout: PATIENCE },
    (bound) => {
      expect(explore(bound)).toMatchObject({ holds: true, steps: [] });
    },
  );

  test.each(QUICK.filter(({ holds }) => !holds))(
    'without this, a Verify is answered from an older record or a change is lost, and the found steps replay: $name',
    { timeout: PATIENCE },
    (mutation) => {
      const { holds, steps } = explore(mutation);
      expect(holds).toBe(false);
      expect(steps.at(-1)).toMatch(/^a (Verify that starts now|change was recorded)/);
    },
  );

  test.each(QUICK.filter(({ holds }) => holds))(
    'without this, another guard covers: $name',
    { timeout: PATIENCE },
    (mutation) => {
      expect(explore(mutation)).toMatchObject({ holds: true });
    },
  );
});
