/** A caller that loses its rights while its call is at work gains nothing by it. */

import { describe, expect, test } from 'vitest';
import { createKey } from '../../src/keys/create.ts';
import { createKeyspace, updateKeyspace } from '../../src/keys/keyspaces.ts';
import type { Parts } from '../../src/keys/parts.ts';
import { revokeKey } from '../../src/keys/revoke.ts';
import { updateKey } from '../../src/keys/update.ts';
import { overlaidStore } from '../support/overlaid-store.ts';
import { callBy, draft, makeParts, ROOT_KEY } from '../support/parts.ts';

const NOTHING = { permissions: [], metadata: {}, allowedCidrs: [] };
const OWNER = { kind: 'user', id: 'alice' };

/** Parts whose store does something once, just before the next key is written. */
async function partsWithHook(): Promise<{
  parts: Parts;
  beforeNextInsert: (hook: () => Promise<unknown>) => void;
}> {
  let hook: (() => Promise<unknown>) | undefined;
  const parts = await makeParts((store) =>
    overlaidStore(store, {
      async insertKey(key, secret) {
        const once = hook;
        hook = undefined;
        await once?.();
        return store.insertKey(key, secret);
      },
    }),
  );
  return { parts, beforeNextInsert: (next) => (hook = next) };
}

/** A keyspace with self-service and one key in it that makes others. */
async function selfService(parts: Parts) {
  const root = await callBy(parts, ROOT_KEY);
  await createKeyspace(parts, root, draft());
  const parent = await createKey(parts, root, 'shop', {
    ...NOTHING,
    name: 'parent',
    owner: OWNER,
    permissions: ['a', 'b'],
  });
  return { root, parent, origin: await callBy(parts, parent.token ?? '') };
}

async function childrenOf(parts: Parts) {
  const page = { filter: { keyspaces: ['shop'], nameContains: 'child' }, limit: 10, now: parts.now() };
  return (await parts.store.listKeys(page)).map(({ key }) => key);
}

describe('a key made by a caller', () => {
  test.each([
    [
      'that was revoked meanwhile',
      'CREDENTIALS_INVALID',
      (parts: Parts, id: string) => async () =>
        revokeKey(
          parts,
          await callBy(parts, ROOT_KEY),
          { id: id },
          { reason: '', includeDescendants: false },
        ),
    ],
    [
      'that was disabled meanwhile',
      'CREDENTIALS_INVALID',
      (parts: Parts, id: string) => async () =>
        updateKey(parts, await callBy(parts, ROOT_KEY), id, { disabled: true }, undefined),
    ],
    [
      'that lost a permission which it handed on meanwhile',
      'HOLDS_MORE_THAN_CALLER',
      (parts: Parts, id: string) => async () =>
        updateKey(parts, await callBy(parts, ROOT_KEY), id, { permissions: ['a'] }, undefined),
    ],
    [
      'whose keyspace lost its self-service meanwhile',
      'PERMISSION_MISSING',
      (parts: Parts) => async () =>
        updateKeyspace(
          parts,
          await callBy(parts, ROOT_KEY),
          'shop',
          (one) => ({ ...one, selfServiceCallers: [] }),
          undefined,
        ),
    ],
  ])('%s is dead, and its secret is not returned', async (_what, reason, meanwhile) => {
    const { parts, beforeNextInsert } = await partsWithHook();
    const { parent, origin } = await selfService(parts);
    beforeNextInsert(meanwhile(parts, parent.key.id));

    const made = createKey(parts, origin, 'shop', { ...NOTHING, name: 'child', permissions: ['b'] });
    await expect(made).rejects.toMatchObject({ reason });

    const children = await childrenOf(parts);
    expect(children).toHaveLength(1);
    expect(children[0]?.revokeTime).toBeDefined();
  });

  test('that kept its rights lives', async () => {
    const { parts, beforeNextInsert } = await partsWithHook();
    const { origin } = await selfService(parts);
    beforeNextInsert(async () => undefined);
    const { token = '' } = await createKey(parts, origin, 'shop', { ...NOTHING, name: 'child' });
    const question = { token, keyspaces: [], demands: { permissions: [] }, strong: true, explain: false };
    expect((await parts.verifier.verify(question, () => true)).status).toBe('valid');
  });
});

describe('concurrent changes of one key', () => {
  test('a change that expects a revision is made to that revision or refused as ABORTED', async () => {
    const parts = await makeParts();
    const { root, parent } = await selfService(parts);
    const attempts = await Promise.allSettled(
      Array.from({ length: 16 }, (_, index) =>
        updateKey(parts, root, parent.key.id, { name: `n${index}` }, 1),
      ),
    );
    expect(attempts.filter((one) => one.status === 'fulfilled')).toHaveLength(1);
    for (const one of attempts) {
      if (one.status === 'rejected')
        expect(one.reason).toMatchObject({ kind: 'conflict', reason: 'REVISION_MISMATCH' });
    }
  });

  test('every change leaves one audit event in the trail, in order, and none pending', async () => {
    const parts = await makeParts();
    const { root, parent } = await selfService(parts);
    for (const name of ['one', 'two']) await updateKey(parts, root, parent.key.id, { name }, undefined);
    await revokeKey(parts, root, { id: parent.key.id }, { reason: 'leaked', includeDescendants: false });
    await revokeKey(parts, root, { id: parent.key.id }, { reason: 'again', includeDescendants: false });
    const events = await parts.store.listEvents({ kind: 'key', id: parent.key.id });
    expect(events.map(({ action, revision, changedFields }) => [action, revision, changedFields])).toEqual([
      ['key.create', 1, []],
      ['key.update', 2, ['name']],
      ['key.update', 3, ['name']],
      ['key.revoke', 4, ['revoke_time', 'revoke_reason']],
    ]);
    expect((await parts.store.getKey(parent.key.id))?.pending).toEqual([]);
    expect((await parts.store.getKey(parent.key.id))?.revokeReason).toBe('leaked');
  });
});
