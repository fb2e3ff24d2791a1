/** Prefixes are reserved before keyspaces are written: no two keyspaces ever share one, whatever happens at once. */

import { describe, expect, test } from 'vitest';
import { storeUnavailable } from '../../src/domain/failure.ts';
import { createKeyspace } from '../../src/keys/keyspaces.ts';
import type { Parts } from '../../src/keys/parts.ts';
import { overlaidStore } from '../support/overlaid-store.ts';
import { callBy, draft, makeParts, ROOT_KEY } from '../support/parts.ts';

const CONFLICT = { kind: 'already-exists', reason: 'PREFIX_CONFLICT' };
const EXISTS = { kind: 'already-exists', reason: 'KEYSPACE_EXISTS' };

async function creating(parts: Parts) {
  const root = await callBy(parts, ROOT_KEY);
  return (id: string, prefix: string) =>
    createKeyspace(parts, root, draft({ id, prefix, displayLength: 20 }));
}

describe('keyspaces made at once', () => {
  test('of one id and two prefixes one wins, and no other id gets either prefix afterwards', async () => {
    // Neither is written before both prefixes are reserved.
    const both = Promise.withResolvers<void>();
    let missing = 0;
    const parts = await makeParts((store) =>
      overlaidStore(store, {
        async insertKeyspace(keyspace) {
          if (missing > 0) {
            if (--missing === 0) both.resolve();
            await both.promise;
          }
          return store.insertKeyspace(keyspace);
        },
      }),
    );
    const make = await creating(parts);
    missing = 2;
    const settled = await Promise.allSettled([make('one', 'first_'), make('one', 'second_')]);
    const won = settled.filter((one) => one.status === 'fulfilled').map(({ value }) => value);
    expect(won).toHaveLength(1);
    expect(settled.find((one) => one.status === 'rejected')).toMatchObject({ reason: EXISTS });
    const stored = (await parts.store.listKeyspaces()).filter(({ id }) => id === 'one');
    expect(stored.map(({ prefix }) => prefix)).toEqual(won.map(({ prefix }) => prefix));

    for (const prefix of ['first_', 'second_', 'first_x_', 'second_x_']) {
      await expect(make('third', prefix), prefix).rejects.toMatchObject(CONFLICT);
    }
    expect(await make('third', 'third_')).toMatchObject({ id: 'third' });
    for (const prefix of ['first_', 'second_'])
      await expect(make('one', prefix)).rejects.toMatchObject(EXISTS);
  });

  test('of two ids and one prefix one wins', async () => {
    const parts = await makeParts();
    const make = await creating(parts);
    const settled = await Promise.allSettled([make('one', 'same_'), make('two', 'same_')]);
    expect(settled.filter((one) => one.status === 'fulfilled')).toHaveLength(1);
    expect(settled.find((one) => one.status === 'rejected')).toMatchObject({ reason: CONFLICT });
    const stored = (await parts.store.listKeyspaces()).filter(({ prefix }) => prefix === 'same_');
    expect(stored).toHaveLength(1);
  });

  test('of many ids whose prefixes begin each other, one wins', async () => {
    const parts = await makeParts();
    const make = await creating(parts);
    const prefixes = Array.from({ length: 12 }, (_, index) => 'same_'.repeat(1 + (index % 4)));
    const settled = await Promise.allSettled(prefixes.map((prefix, index) => make(`one-${index}`, prefix)));
    expect(settled.filter((one) => one.status === 'fulfilled')).toHaveLength(1);
    for (const one of settled) if (one.status === 'rejected') expect(one.reason).toMatchObject(CONFLICT);
  });
});

test('a prefix that was reserved in vain stays that id’s, and no other’s', async () => {
  let away = false;
  const parts = await makeParts((store) =>
    overlaidStore(store, {
      async insertKeyspace(keyspace) {
        if (away) throw storeUnavailable(new Error('away'));
        return store.insertKeyspace(keyspace);
      },
    }),
  );
  const make = await creating(parts);
  away = true;
  await expect(make('one', 'vain_')).rejects.toMatchObject({ kind: 'unavailable' });
  away = false;
  await expect(make('two', 'vain_')).rejects.toMatchObject(CONFLICT);
  expect(await make('one', 'vain_')).toMatchObject({ id: 'one', prefix: 'vain_' });
});
