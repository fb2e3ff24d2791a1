/** Reads without a lease: each is answered by what the store said after it had been asked for. */

import { expect, onTestFinished, test } from 'vitest';
import { CachedKeyStore } from '../../../src/storage/cache/memory.ts';
import { BLIND } from '../../../src/storage/cache/shared.ts';
import { openSqliteStore } from '../../../src/storage/sqlite/open.ts';
import { changed, storeKey } from '../../conformance/samples.ts';
import { gated } from './gated-store.ts';

async function openUnleased() {
  const inner = await openSqliteStore(':memory:');
  onTestFinished(() => inner.close());
  const { store, hold } = gated(inner);
  const sizes = { secrets: 1_000_000, keys: 1_000_000, owners: 1_000_000 };
  const old = await storeKey(inner, { name: 'old' });
  return { inner, hold, old, cached: new CachedKeyStore(store, { sizes, lease: BLIND }) };
}

test('who asks after another process’ change is not given what a read brings that began before it', async () => {
  const { inner, hold, old, cached } = await openUnleased();
  const release = hold('getKey');
  const early = cached.getKey(old.id);
  await inner.replaceKey(changed(old, { name: 'next' }));
  const late = [cached.getKey(old.id), cached.getKey(old.id)];
  release();
  expect((await early)?.name).toBe('old');
  expect((await Promise.all(late)).map((one) => one?.name)).toEqual(['next', 'next']);
});

test('nothing is kept for the next one', async () => {
  const { inner, old, cached } = await openUnleased();
  expect((await cached.getKey(old.id))?.name).toBe('old');
  await inner.replaceKey(changed(old, { name: 'next' }));
  expect((await cached.getKey(old.id))?.name).toBe('next');
});
