/** Revoking while the other replicas cannot be reached: no OK, but nothing of what was asked for is left undone. */

import { describe, expect, test } from 'vitest';
import { type Spread, unconfirmed } from '../../src/coherence/spread.ts';
import { createKey } from '../../src/keys/create.ts';
import { createKeyspace } from '../../src/keys/keyspaces.ts';
import { updateOwner } from '../../src/keys/owners.ts';
import { getKey } from '../../src/keys/read.ts';
import { revokeKey } from '../../src/keys/revoke.ts';
import { revokeKeys } from '../../src/keys/revoke-keys.ts';
import { callBy, draft, makeParts, ROOT_KEY } from '../support/parts.ts';

const OWNER = { kind: 'user', id: 'alice' } as const;
const NOTHING = { name: 'one', permissions: [], metadata: {}, allowedCidrs: [] };

/** Operations whose spread can be taken away; counts how often one waited for it. */
async function rig() {
  const counts = { waits: 0 };
  let away = false;
  const reach = () => (away ? Promise.reject(unconfirmed(new Error('away'))) : Promise.resolve());
  const spread: Spread = {
    get reachable() {
      return !away;
    },
    async confirm() {
      counts.waits++;
      await reach();
      return { replicas: 1, acknowledged: 1, effectiveTime: 0 };
    },
    tell: reach,
  };
  const parts = await makeParts(undefined, () => undefined, Date.now, spread);
  const root = await callBy(parts, ROOT_KEY);
  for (const id of ['shop', 'bank']) await createKeyspace(parts, root, draft({ id, prefix: `${id}_` }));
  const leave = () => {
    away = true;
    counts.waits = 0;
  };
  const comeBack = () => {
    away = false;
  };
  return { parts, root, counts, leave, comeBack };
}

const refused = { kind: 'unavailable', reason: 'PROPAGATION_UNCONFIRMED' };

describe('without the other replicas', () => {
  test.each([
    ['an owner', OWNER],
    ['all', undefined],
  ])(
    'RevokeKeys of %s ends the keys of every keyspace, and waits for the first alone',
    async (_what, owner) => {
      const { parts, root, counts, leave } = await rig();
      const keys = await Promise.all(
        ['shop', 'bank'].map((id) => createKey(parts, root, id, { ...NOTHING, owner: OWNER })),
      );
      leave();
      const question = { keyspace: '', owner, reason: 'leaked', dryRun: false, expectedCount: undefined };
      await expect(revokeKeys(parts, root, question)).rejects.toMatchObject(refused);
      expect(counts.waits).toBe(1);
      for (const { key } of keys)
        expect((await getKey(parts, root.caller, key.id)).key.revokeReason).toBe('leaked');
      // Nobody can be told of the marks, which would wait as events to publish.
      await parts.marking.settled();
      for (const { key } of keys) expect((await parts.store.getKey(key.id))?.pending).toEqual([]);
    },
  );

  test.each([
    ['not_before', { notBefore: 1 }],
    ['a change that says nothing new', { disabled: false }],
  ])('UpdateOwner again with %s', async (_what, again) => {
    const { parts, root, leave, comeBack } = await rig();
    const position = { keyspace: 'shop', owner: OWNER };
    const make = async () => (await createKey(parts, root, 'shop', { ...NOTHING, owner: OWNER })).key;
    const before = await make();
    leave();
    const end = updateOwner(parts, root, position, { notBefore: 1 }, undefined);
    await expect(end).rejects.toMatchObject(refused);
    const since = await make();
    comeBack();
    const { propagation } = await updateOwner(parts, root, position, again, undefined);
    expect(propagation).toMatchObject({ replicas: 1, acknowledged: 1 });
    const isRevoked = async ({ id }: { readonly id: string }) =>
      (await getKey(parts, root.caller, id)).key.revokeTime !== undefined;
    expect(await isRevoked(before)).toBe(true);
    // As docs/errors.md says of both.
    expect(await isRevoked(since)).toBe('notBefore' in again);
  });

  test('RevokeKey with include_descendants ends them all, and waits for the first alone', async () => {
    const { parts, root, counts, leave } = await rig();
    const request = { ...NOTHING, owner: OWNER };
    const made = await createKey(parts, root, 'shop', request);
    const ids = [made.key.id];
    for (let token = made.token ?? ''; ids.length < 4; ) {
      const child = await createKey(parts, await callBy(parts, token), 'shop', request);
      ids.push(child.key.id);
      token = child.token ?? '';
    }
    leave();
    const whole = { reason: 'leaked', includeDescendants: true };
    await expect(revokeKey(parts, root, { id: made.key.id }, whole)).rejects.toMatchObject(refused);
    expect(counts.waits).toBe(1);
    for (const id of ids) expect((await parts.store.getKey(id))?.revokeReason).toBe('leaked');
  });
});
