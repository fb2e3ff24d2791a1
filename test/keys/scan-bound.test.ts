/** A page that is filtered by state goes through a bounded number of keys, whatever the filter finds. */

import { expect, test } from 'vitest';
import { createKey } from '../../src/keys/create.ts';
import { createKeyspace } from '../../src/keys/keyspaces.ts';
import { listKeys } from '../../src/keys/read.ts';
import { revokeKeys } from '../../src/keys/revoke-keys.ts';
import type { MovableStore } from '../../src/storage/movable-store.ts';
import { overlaidStore } from '../support/overlaid-store.ts';
import { callBy, draft, makeParts, ROOT_KEY } from '../support/parts.ts';

const NOTHING = { permissions: [], metadata: {}, allowedCidrs: [] };
const ALICE = { kind: 'user', id: 'alice' };
const BOB = { kind: 'user', id: 'bob' };
const MANY = 11_000;
const BATCH = 500;
const BOUND = 10_000;
/** What is read at one time; the last may begin just before the bound. */
const CHUNK = 1000;

test('a page behind which 11,000 keys do not pass ends after 10,000, empty, and the next one goes on', async () => {
  let read = 0;
  const parts = await makeParts((store) =>
    overlaidStore(store, {
      async listKeys(page) {
        const keys = await store.listKeys(page);
        read += keys.length;
        return keys;
      },
    }),
  );
  const root = await callBy(parts, ROOT_KEY);
  await createKeyspace(parts, root, draft());
  const dead = await createKey(parts, root, 'shop', { ...NOTHING, name: 'dead', owner: ALICE });
  const live = await createKey(parts, root, 'shop', { ...NOTHING, name: 'live', owner: BOB });
  for (let made = 0; made < MANY; made += BATCH) {
    const newer = Array.from({ length: BATCH }, (_, index) => {
      const createTime = live.key.createTime + 1 + made + index;
      return { ...live.key, id: `key_many${made + index}`, createTime };
    });
    await (parts.store as MovableStore).putRecords('key', newer);
  }
  // Its key is dead and does not say so itself, so the store cannot look for the dead ones.
  const unmarked = { ofOwner: () => undefined, ofKeyspace: () => undefined };
  const question = { keyspace: 'shop', owner: ALICE, reason: '', dryRun: false, expectedCount: undefined };
  await revokeKeys({ ...parts, marking: unmarked as never }, root, question);

  const page = async (pageToken: string) => {
    read = 0;
    const filter = { states: ['revoked' as const] };
    const listing = await listKeys(parts, root.caller, {
      keyspace: 'shop',
      filter,
      pageSize: 50,
      pageToken,
      withTotals: false,
    });
    const ids = listing.keys.map(({ key }) => key.id);
    return { ids, next: listing.next && listing.tokenAfter(listing.next), read };
  };
  const first = await page('');
  expect(first.ids).toEqual([]);
  expect(first.next).toBeDefined();
  expect(first.read).toBeGreaterThanOrEqual(BOUND);
  expect(first.read).toBeLessThan(BOUND + CHUNK);
  const second = await page(first.next ?? '');
  expect([second.ids, second.next]).toEqual([[dead.key.id], undefined]);
  expect(first.read + second.read).toBe(MANY + 2);
}, 120_000);
