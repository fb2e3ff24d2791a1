/** What is recorded of an owner holds for all of its keys from the moment on that the change was answered. */

import { describe, expect, test } from 'vitest';
import { createKey } from '../../src/keys/create.ts';
import { createKeyspace } from '../../src/keys/keyspaces.ts';
import { getOwner, listOwners, type OwnerChanges, updateOwner } from '../../src/keys/owners.ts';
import { getKey } from '../../src/keys/read.ts';
import { rotateKey } from '../../src/keys/rotate.ts';
import { updateKey } from '../../src/keys/update.ts';
import { authenticate } from '../../src/verification/authenticate.ts';
import { callBy, draft, makeParts, ROOT_KEY } from '../support/parts.ts';

const NOTHING = { permissions: [], metadata: {}, allowedCidrs: [] };
const ALICE = { kind: 'user', id: 'alice' };
const PLAIN = { overlap: 0, expectedRevision: undefined, requestId: '' };

async function rig() {
  const clock = { now: Date.now() };
  const parts = await makeParts(
    (store) => store,
    undefined,
    () => clock.now,
  );
  const root = await callBy(parts, ROOT_KEY);
  await createKeyspace(parts, root, draft());
  await createKeyspace(parts, root, draft({ id: 'plain', prefix: 'plain_', selfServiceCallers: [] }));
  const make = (fields: object = {}, keyspace = 'shop') =>
    createKey(parts, root, keyspace, { ...NOTHING, name: 'a key', owner: ALICE, ...fields });
  const change = (changes: OwnerChanges, expectedRevision?: number, keyspace = 'shop') =>
    updateOwner(parts, root, { keyspace, owner: ALICE }, changes, expectedRevision);
  const verify = (token = '', permissions: string[] = []) =>
    parts.verifier.verify(
      { token, keyspaces: [], demands: { permissions }, strong: true, explain: false },
      () => true,
    );
  return { parts, root, clock, make, change, verify };
}

describe('a permission bound', () => {
  test('narrows existing keys at once, is shown in the principal, and leaves the keys’ own permissions alone', async () => {
    const { parts, root, make, change, verify } = await rig();
    const { key, token } = await make({ permissions: ['docs:*', 'mail:read'] });
    await change({ permissionBound: ['docs:read'] });
    const answer = await verify(token, ['docs:read']);
    expect([answer.status, answer.key?.permissions]).toEqual(['valid', ['docs:read']]);
    expect(await verify(token, ['mail:read'])).toMatchObject({
      status: 'insufficient-permissions',
      missingPermissions: ['mail:read'],
    });
    expect((await getKey(parts, root.caller, key.id)).key.permissions).toEqual(['docs:*', 'mail:read']);
    await change({ permissionBound: null });
    expect((await verify(token, ['mail:read'])).status).toBe('valid');
  });

  test('that is empty leaves nothing, and the keys of others and of other keyspaces alone', async () => {
    const { make, change, verify } = await rig();
    const { token } = await make({ permissions: ['*'] });
    const other = await make({ permissions: ['*'], owner: { kind: 'user', id: 'bob' } });
    const elsewhere = await make({ permissions: ['*'] }, 'plain');
    await change({ permissionBound: [] });
    expect((await verify(token, ['a'])).status).toBe('insufficient-permissions');
    expect((await verify(token)).status).toBe('valid');
    for (const one of [other, elsewhere]) expect((await verify(one.token, ['a'])).status).toBe('valid');
  });

  test('is checked as permissions are', async () => {
    const { change } = await rig();
    await expect(change({ permissionBound: ['docs*'] })).rejects.toMatchObject({
      kind: 'invalid',
      violations: [{ field: 'owner.permission_bound.permissions[0]' }],
    });
  });
});

describe('a key that inherits', () => {
  test('has what the bound lists at each moment, and nothing without a bound', async () => {
    const { parts, root, make, change, verify } = await rig();
    const { key, token } = await make({ inheritOwnerPermissions: true });
    expect(key).toMatchObject({ permissions: [], inheritOwnerPermissions: true });
    expect((await verify(token, ['a'])).status).toBe('insufficient-permissions');
    await change({ permissionBound: ['a'] });
    expect((await verify(token, ['a'])).key?.permissions).toEqual(['a']);
    await updateKey(parts, root, key.id, { inheritOwnerPermissions: false }, undefined);
    expect((await verify(token, ['a'])).status).toBe('insufficient-permissions');
  });

  test('needs an owner and no permissions, and is none of the reserved keyspace', async () => {
    const { parts, root, make } = await rig();
    const inherits = { inheritOwnerPermissions: true };
    await expect(make({ ...inherits, owner: undefined })).rejects.toMatchObject({
      violations: [{ field: 'inherit_owner_permissions' }],
    });
    await expect(make({ ...inherits, permissions: ['a'] })).rejects.toMatchObject({
      violations: [{ field: 'permissions' }],
    });
    await expect(make(inherits, 'gatehouse')).rejects.toMatchObject({ kind: 'invalid' });
    const { key: ownerless } = await make({ owner: undefined });
    await expect(updateKey(parts, root, ownerless.id, inherits, undefined)).rejects.toMatchObject({
      violations: [{ field: 'key.inherit_owner_permissions' }],
    });
  });

  test('loses its own permissions when it is set to, and gets none beside', async () => {
    const { parts, root, make } = await rig();
    const { key } = await make({ permissions: ['a'] });
    const { record } = await updateKey(parts, root, key.id, { inheritOwnerPermissions: true }, undefined);
    expect(record).toMatchObject({ permissions: [], inheritOwnerPermissions: true });
    await expect(updateKey(parts, root, key.id, { permissions: ['a'] }, undefined)).rejects.toMatchObject({
      violations: [{ field: 'key.permissions' }],
    });
    const events = await parts.store.listEvents({ kind: 'key', id: key.id });
    expect(events.at(-1)?.changedFields).toEqual(['permissions', 'inherit_owner_permissions']);
  });
});

describe('a self-service caller under a bound', () => {
  test('hands on no more than it may do itself, and an inheriting one what the bound lists', async () => {
    const { parts, make, change } = await rig();
    await change({ permissionBound: ['a', 'b'] });
    const child = async (token: string, permissions: string[]) =>
      createKey(parts, await callBy(parts, token), 'shop', { ...NOTHING, name: 'child', permissions });
    for (const fields of [{ permissions: ['*'] }, { inheritOwnerPermissions: true }]) {
      const { token = '' } = await make(fields);
      await expect(child(token, ['c'])).rejects.toMatchObject({ reason: 'HOLDS_MORE_THAN_CALLER' });
      const { key } = await child(token, []);
      expect(key.permissions).toEqual(['a', 'b']);
      expect(key.inheritOwnerPermissions).toBeUndefined();
    }
  });

  test('may not let its keys inherit, which would make them grow with the bound', async () => {
    const { parts, make, change } = await rig();
    await change({ permissionBound: ['a'] });
    const { key, token = '' } = await make({ inheritOwnerPermissions: true });
    const origin = await callBy(parts, token);
    const request = { ...NOTHING, name: 'child', inheritOwnerPermissions: true as const };
    await expect(createKey(parts, origin, 'shop', request)).rejects.toMatchObject({
      reason: 'FIELD_NOT_YOURS',
    });
    await expect(
      updateKey(parts, origin, key.id, { inheritOwnerPermissions: true }, undefined),
    ).rejects.toMatchObject({ reason: 'FIELD_NOT_YOURS' });
  });

  test('is given no secret of a key that a wider bound would make stronger than it', async () => {
    const { parts, make, change } = await rig();
    await change({ permissionBound: ['a'] });
    const weak = await callBy(parts, (await make({ permissions: ['a'] })).token ?? '');
    const wide = await make({ permissions: ['*'] });
    const inheriting = await make({ inheritOwnerPermissions: true });
    for (const { key } of [wide, inheriting]) {
      await expect(rotateKey(parts, weak, key.id, PLAIN)).rejects.toMatchObject({
        reason: 'HOLDS_MORE_THAN_CALLER',
      });
    }
    const strong = await callBy(parts, wide.token ?? '');
    expect((await rotateKey(parts, strong, inheriting.key.id, PLAIN)).token).toBeDefined();
  });

  test('that needs a permission to manage keys loses it with the bound', async () => {
    const { parts, root, make, change } = await rig();
    await createKeyspace(
      parts,
      root,
      draft({ id: 'gated', prefix: 'gated_', selfServicePermission: 'manage' }),
    );
    const { token = '' } = await make({ permissions: ['*'] }, 'gated');
    await change({ permissionBound: ['a'] }, undefined, 'gated');
    await expect(
      createKey(parts, await callBy(parts, token), 'gated', { ...NOTHING, name: 'child' }),
    ).rejects.toMatchObject({ reason: 'PERMISSION_MISSING' });
  });
});

describe('a disabled owner', () => {
  test('has no key that works, as long as it is disabled, and none of them is let in as a caller', async () => {
    const { parts, make, change, verify } = await rig();
    const { token = '' } = await make();
    await change({ disabled: true });
    expect(await verify(token)).toMatchObject({
      status: 'owner-disabled',
      message: 'the owner of the key is disabled',
    });
    const asCaller = authenticate(parts.verifier, parts.usage, parts.now, token, {
      clientIp: undefined,
      strong: true,
      counts: false,
    });
    await expect(asCaller).rejects.toMatchObject({ reason: 'CREDENTIALS_INVALID' });
    await change({ disabled: false });
    expect((await verify(token)).status).toBe('valid');
  });

  test('is shown by explain as a check of its own, behind revocation', async () => {
    const { parts, make, change } = await rig();
    const { token = '' } = await make();
    await change({ disabled: true });
    const question = { token, keyspaces: [], demands: { permissions: [] }, strong: true, explain: true };
    const { checks } = await parts.verifier.verify(question, () => true);
    const names = checks.map(({ name }) => name);
    expect(names.indexOf('owner_enabled')).toBe(names.indexOf('not_revoked') + 1);
    expect(checks.find(({ passed }) => !passed)?.name).toBe('owner_enabled');
  });
});

describe('not_before', () => {
  test('revokes the keys made before it was set, each time, whatever the time says, and none made after', async () => {
    const { parts, root, clock, make, change, verify } = await rig();
    const old = await make();
    const { record } = await change({ notBefore: clock.now - 1_000_000 });
    expect(record).toMatchObject({ generation: 1, revision: 1, notBefore: clock.now - 1_000_000 });
    const young = await make();
    expect(young.key.ownerGeneration).toBe(1);
    expect((await verify(old.token)).status).toBe('revoked');
    expect((await verify(young.token)).status).toBe('valid');
    await change({ notBefore: clock.now - 1_000_000 });
    expect((await verify(young.token)).status).toBe('revoked');
    await parts.marking.settled();
    expect((await getKey(parts, root.caller, young.key.id)).key.revokeReason).toBe(
      "the owner's not_before was set",
    );
  });

  test('cannot be taken back', async () => {
    const { change } = await rig();
    await expect(change({ notBefore: null })).rejects.toMatchObject({
      violations: [{ field: 'owner.not_before' }],
    });
  });
});

describe('an owner’s record', () => {
  test('is made by the first change, is changed at its revision only, and 0 means that there is none', async () => {
    const { parts, root, change } = await rig();
    await expect(getOwner(parts, root.caller, 'shop', ALICE)).rejects.toMatchObject({ kind: 'not-found' });
    await expect(change({ disabled: true }, 1)).rejects.toMatchObject({ reason: 'REVISION_MISMATCH' });
    expect((await change({ disabled: false }, 0)).record).toMatchObject({ revision: 1, disabled: false });
    await expect(change({ disabled: true }, 0)).rejects.toMatchObject({ reason: 'REVISION_MISMATCH' });
    expect((await change({ disabled: true }, 1)).record.revision).toBe(2);
    expect((await change({ disabled: true })).record.revision).toBe(2);
    const record = await getOwner(parts, root.caller, 'shop', ALICE);
    const events = await parts.store.listEvents({ kind: 'owner', id: record.id });
    expect(events).toMatchObject([
      { action: 'owner.update', keyspace: 'shop', owner: ALICE, revision: 1, changedFields: [] },
      { action: 'owner.update', keyspace: 'shop', owner: ALICE, revision: 2, changedFields: ['disabled'] },
    ]);
    expect(events[0]).not.toHaveProperty('keyId');
  });

  test('of two who make it at once both are kept', async () => {
    const { change } = await rig();
    await Promise.all([change({ disabled: true }), change({ permissionBound: ['a'] })]);
    expect((await change({ notBefore: 5 })).record).toMatchObject({
      disabled: true,
      permissionBound: ['a'],
      revision: 3,
    });
  });

  test('keeps its revision while the records of its dead keys are marked', async () => {
    const { parts, make, change } = await rig();
    await make();
    await change({ notBefore: 5 });
    await parts.marking.settled();
    expect((await change({ disabled: true }, 1)).record).toMatchObject({ revision: 2 });
  });

  test('is there in no form for the reserved keyspace', async () => {
    const { change } = await rig();
    await expect(change({ disabled: true }, undefined, 'gatehouse')).rejects.toMatchObject({
      kind: 'precondition',
      reason: 'RESERVED_KEYSPACE',
    });
  });
});

describe('who may read and change owners', () => {
  const NAMES = ['owners:read', 'owners:admin', 'owners:admin@shop', 'owners:read@plain', 'keys:update'];

  async function callers(parts: Awaited<ReturnType<typeof rig>>) {
    const origins = await Promise.all(
      NAMES.map(async (permission) => {
        const { token = '' } = await createKey(parts.parts, parts.root, 'gatehouse', {
          ...NOTHING,
          name: permission,
          permissions: [permission],
        });
        return [permission, await callBy(parts.parts, token)] as const;
      }),
    );
    return new Map(origins);
  }

  test.each([
    ['owners:read', 'valid', 'PERMISSION_MISSING'],
    ['owners:admin', 'valid', 'valid'],
    ['owners:admin@shop', 'valid', 'valid'],
    ['owners:read@plain', 'NOT_FOUND', 'PERMISSION_MISSING'],
    ['keys:update', 'PERMISSION_MISSING', 'PERMISSION_MISSING'],
  ])('%s: reading is %s, changing is %s', async (name, reads, changes) => {
    const all = await rig();
    await all.change({ disabled: false });
    const origin = (await callers(all)).get(name);
    if (origin === undefined) throw new Error('no such caller');
    const outcome = (call: Promise<unknown>) =>
      call.then(
        () => 'valid',
        ({ reason }) => reason,
      );
    expect(await outcome(getOwner(all.parts, origin.caller, 'shop', ALICE))).toBe(reads);
    const place = { keyspace: 'shop', owner: ALICE };
    expect(await outcome(updateOwner(all.parts, origin, place, { disabled: true }, undefined))).toBe(changes);
  });

  test('a narrowed caller cannot swap the keyspace: it neither sees nor changes an owner’s namesake elsewhere', async () => {
    const all = await rig();
    await all.change({ permissionBound: ['a'] }, undefined, 'plain');
    const narrow = (await callers(all)).get('owners:admin@shop');
    if (narrow === undefined) throw new Error('no such caller');
    const place = { keyspace: 'plain', owner: ALICE };
    const swapped = updateOwner(all.parts, narrow, place, { permissionBound: null }, undefined);
    await expect(swapped).rejects.toMatchObject({ reason: 'NOT_FOUND' });
    await expect(getOwner(all.parts, narrow.caller, 'plain', ALICE)).rejects.toMatchObject({
      reason: 'NOT_FOUND',
    });
    expect((await getOwner(all.parts, all.root.caller, 'plain', ALICE)).permissionBound).toEqual(['a']);
    const page = { keyspace: '', pageSize: 9, pageToken: '' };
    expect((await listOwners(all.parts, narrow.caller, page)).owners).toEqual([]);
  });

  test('a key of the owner itself has no say', async () => {
    const { parts, make } = await rig();
    const origin = await callBy(parts, (await make({ permissions: ['*', 'owners:admin'] })).token ?? '');
    const place = { keyspace: 'shop', owner: ALICE };
    await expect(
      updateOwner(parts, origin, place, { permissionBound: null }, undefined),
    ).rejects.toMatchObject({
      reason: 'PERMISSION_MISSING',
    });
  });

  test('pages go through all owners, and a token is of use to its caller and filter alone', async () => {
    const { parts, root } = await rig();
    for (const id of ['a', 'b', 'c']) {
      await updateOwner(
        parts,
        root,
        { keyspace: 'shop', owner: { kind: 'user', id } },
        { disabled: id === 'b' },
        undefined,
      );
    }
    const ids: string[] = [];
    let pageToken = '';
    do {
      const page = await listOwners(parts, root.caller, { keyspace: 'shop', pageSize: 2, pageToken });
      ids.push(...page.owners.map(({ owner }) => owner.id));
      const last = page.owners.at(-1);
      pageToken = page.more && last !== undefined ? page.tokenAfter(last) : '';
      if (pageToken === '') break;
      const swapped = listOwners(parts, root.caller, { keyspace: 'plain', pageSize: 2, pageToken });
      await expect(swapped).rejects.toMatchObject({ kind: 'invalid' });
    } while (pageToken !== '');
    expect(ids).toEqual(['a', 'b', 'c']);
    const disabled = { keyspace: '', disabled: true, pageSize: 9, pageToken: '' };
    expect((await listOwners(parts, root.caller, disabled)).owners.map(({ owner }) => owner.id)).toEqual([
      'b',
    ]);
  });
});
