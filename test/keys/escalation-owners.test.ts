/** Ways to hold on to rights that an owner's record, or the caller's own, has taken away. */

import { describe, expect, test } from 'vitest';
import { createKey } from '../../src/keys/create.ts';
import { createKeyspace } from '../../src/keys/keyspaces.ts';
import { type OwnerChanges, updateOwner } from '../../src/keys/owners.ts';
import { listKeys } from '../../src/keys/read.ts';
import { revokeKeys } from '../../src/keys/revoke-keys.ts';
import { rotateKey } from '../../src/keys/rotate.ts';
import { updateKey } from '../../src/keys/update.ts';
import type { KeyStore } from '../../src/storage/key-store.ts';
import { overlaidStore } from '../support/overlaid-store.ts';
import { callBy, draft, makeParts, ROOT_KEY } from '../support/parts.ts';

const NOTHING = { permissions: [], metadata: {}, allowedCidrs: [] };
const ALICE = { kind: 'user', id: 'alice' };
const PLAIN = { overlap: 0, expectedRevision: undefined, requestId: '' };

async function rig() {
  const hooks: Partial<Record<'insertKey' | 'insertSecret', () => Promise<unknown>>> = {};
  const before = async (name: keyof typeof hooks) => {
    const hook = hooks[name];
    delete hooks[name];
    await hook?.();
  };
  const parts = await makeParts((store: KeyStore) =>
    overlaidStore(store, {
      async insertKey(key, secret) {
        await before('insertKey');
        return store.insertKey(key, secret);
      },
      async insertSecret(secret) {
        await before('insertSecret');
        return store.insertSecret(secret);
      },
    }),
  );
  const root = await callBy(parts, ROOT_KEY);
  await createKeyspace(parts, root, draft());
  await createKeyspace(parts, root, draft({ id: 'plain', prefix: 'plain_' }));
  const make = async (fields: object, keyspace = 'shop') => {
    const request = { ...NOTHING, name: 'a key', owner: ALICE, ...fields };
    const { key, token = '' } = await createKey(parts, root, keyspace, request);
    return { key, token, origin: await callBy(parts, token) };
  };
  const change = (changes: OwnerChanges) =>
    updateOwner(parts, root, { keyspace: 'shop', owner: ALICE }, changes, undefined);
  const live = async (nameContains: string) => {
    const filter = { states: ['active'] as const, nameContains };
    const question = { keyspace: 'shop', filter, pageSize: 9, pageToken: '', withTotals: false };
    return (await listKeys(parts, root.caller, question)).keys.map(({ key }) => key.id);
  };
  return { parts, root, hooks, make, change, live };
}

const TAKEN_AWAY: readonly (readonly [string, OwnerChanges])[] = [
  ['its owner’s bound was emptied', { permissionBound: [] }],
  ['its owner was disabled', { disabled: true }],
  ['its generation ended', { notBefore: 5 }],
];

describe('a self-service key', () => {
  test.each(TAKEN_AWAY)('gets no child out of a call during which %s', async (_what, changes) => {
    const { parts, hooks, make, change, live } = await rig();
    const { origin } = await make({ permissions: ['a'] });
    hooks.insertKey = () => change(changes);
    const made = createKey(parts, origin, 'shop', { ...NOTHING, name: 'child', permissions: ['a'] });
    await expect(made).rejects.toThrow();
    expect(await live('child')).toEqual([]);
  });

  test.each(TAKEN_AWAY.slice(1))(
    'gets no secret of a sibling out of a call during which %s',
    async (_what, changes) => {
      const { parts, hooks, make, change } = await rig();
      const { origin } = await make({ permissions: ['a'] });
      const sibling = await make({ permissions: ['a'] });
      hooks.insertSecret = () => change(changes);
      await expect(rotateKey(parts, origin, sibling.key.id, PLAIN)).rejects.toThrow();
      const after = await parts.store.getKey(sibling.key.id);
      expect(after?.generation).toBe(sibling.key.generation);
    },
  );

  test('and who manages all keys get no secret of a key whose generation ended during the call', async () => {
    const { parts, root, hooks, make, change } = await rig();
    const { key } = await make({});
    hooks.insertSecret = () => change({ notBefore: 5 });
    await expect(rotateKey(parts, root, key.id, PLAIN)).rejects.toMatchObject({ reason: 'KEY_REVOKED' });
    expect((await parts.store.getKey(key.id))?.generation).toBe(key.generation);
  });

  test('hands on nothing that an emptied bound has taken, whatever it says of itself', async () => {
    const { parts, make, change } = await rig();
    const { origin } = await make({ permissions: ['*'] });
    await change({ permissionBound: [] });
    const now = await callBy(parts, (await make({ permissions: ['*'] })).token);
    expect(now.caller.key.permissions).toEqual([]);
    for (const permissions of [['*'], ['a']]) {
      const made = createKey(parts, now, 'shop', { ...NOTHING, name: 'child', permissions });
      await expect(made).rejects.toMatchObject({ reason: 'HOLDS_MORE_THAN_CALLER' });
    }
    // Who was let in before is judged again after the write.
    const made = createKey(parts, origin, 'shop', { ...NOTHING, name: 'child', permissions: ['a'] });
    await expect(made).rejects.toMatchObject({ reason: 'HOLDS_MORE_THAN_CALLER' });
  });
});

describe('a replay', () => {
  test('by a caller that was narrowed to another keyspace tells nothing of the key that it made', async () => {
    const { parts, root } = await rig();
    const manager = await createKey(parts, root, 'gatehouse', {
      ...NOTHING,
      name: 'm',
      permissions: ['keys:create@shop', 'keys:create@plain'],
    });
    const again = async () =>
      createKey(parts, await callBy(parts, manager.token ?? ''), 'shop', { ...NOTHING, name: 'once' }, 'r1');
    expect((await again()).token).toBeDefined();
    expect((await again()).token).toBeUndefined();
    await updateKey(parts, root, manager.key.id, { permissions: ['keys:create@plain'] }, undefined);
    await expect(again()).rejects.toMatchObject({ reason: 'NOT_FOUND' });
  });

  test('by a caller that lost the keyspace’s permission to its owner’s bound is refused', async () => {
    const { parts, root, change } = await rig();
    await createKeyspace(
      parts,
      root,
      draft({ id: 'gated', prefix: 'gated_', selfServicePermission: 'manage' }),
    );
    const request = { ...NOTHING, name: 'maker', owner: ALICE, permissions: ['manage'] };
    const { token = '' } = await createKey(parts, root, 'gated', request);
    const again = async () =>
      createKey(parts, await callBy(parts, token), 'gated', { ...NOTHING, name: 'once' }, 'r1');
    await again();
    await change({ permissionBound: [] });
    expect((await again()).token).toBeUndefined();
    await updateOwner(parts, root, { keyspace: 'gated', owner: ALICE }, { permissionBound: [] }, undefined);
    await expect(again()).rejects.toMatchObject({ reason: 'PERMISSION_MISSING' });
  });

  test('with the keyspace swapped is another request, and is refused', async () => {
    const { parts, root } = await rig();
    await createKey(parts, root, 'shop', { ...NOTHING, name: 'once' }, 'r1');
    const swapped = createKey(parts, root, 'plain', { ...NOTHING, name: 'once' }, 'r1');
    await expect(swapped).rejects.toMatchObject({ reason: 'REQUEST_ID_REUSED' });
  });

  test('of a key whose generation has ended shows it as revoked, without a secret', async () => {
    const { parts, root } = await rig();
    const request = { ...NOTHING, name: 'once', owner: ALICE };
    await createKey(parts, root, 'shop', request, 'r1');
    const rest = { reason: '', dryRun: false, expectedCount: undefined };
    await revokeKeys(parts, root, { keyspace: 'shop', owner: ALICE, ...rest });
    expect((await createKey(parts, root, 'shop', request, 'r1')).token).toBeUndefined();
  });
});
