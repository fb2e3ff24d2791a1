/** All keys of an owner or a keyspace die by one write, and so do those that are being made at that moment. */

import { describe, expect, test } from 'vitest';
import { Marking } from '../../src/coherence/marking.ts';
import type { KeyState } from '../../src/domain/key.ts';
import { keyState } from '../../src/domain/key.ts';
import { createKey } from '../../src/keys/create.ts';
import { createKeyspace } from '../../src/keys/keyspaces.ts';
import { updateOwner } from '../../src/keys/owners.ts';
import type { Parts } from '../../src/keys/parts.ts';
import { getKey, listKeys } from '../../src/keys/read.ts';
import { revokeKey } from '../../src/keys/revoke.ts';
import { type RevokeKeysQuestion, revokeKeys } from '../../src/keys/revoke-keys.ts';
import { rotateKey } from '../../src/keys/rotate.ts';
import { updateKey } from '../../src/keys/update.ts';
import { overlaidStore } from '../support/overlaid-store.ts';
import { callBy, draft, makeParts, ROOT_KEY } from '../support/parts.ts';

const NOTHING = { permissions: [], metadata: {}, allowedCidrs: [] };
const ALICE = { kind: 'user', id: 'alice' };
const BOB = { kind: 'user', id: 'bob' };
const MINUTE = 60_000;

async function rig() {
  const clock = { now: Date.now() };
  let hook: (() => Promise<unknown>) | undefined;
  let holding: Promise<void> | undefined;
  const parts = await makeParts(
    (store) =>
      overlaidStore(store, {
        async insertKey(key, secret) {
          const once = hook;
          hook = undefined;
          await once?.();
          return store.insertKey(key, secret);
        },
        async finishMarking(record, generation) {
          await holding;
          return store.finishMarking(record, generation);
        },
      }),
    undefined,
    () => clock.now,
  );
  const root = await callBy(parts, ROOT_KEY);
  await createKeyspace(parts, root, draft());
  await createKeyspace(parts, root, draft({ id: 'plain', prefix: 'plain_' }));
  const make = (owner: object | null = ALICE, keyspace = 'shop', fields: object = {}) =>
    createKey(parts, root, keyspace, {
      ...NOTHING,
      name: 'a key',
      ...(owner && { owner }),
      ...fields,
    } as never);
  const revoke = (question: Partial<RevokeKeysQuestion>, origin = root) =>
    revokeKeys(parts, origin, {
      keyspace: 'shop',
      owner: undefined,
      reason: 'leaked',
      dryRun: false,
      expectedCount: undefined,
      ...question,
    });
  const status = async (token = '') => {
    const question = { token, keyspaces: [], demands: { permissions: [] }, strong: true, explain: false };
    return (await parts.verifier.verify(question, () => true)).status;
  };
  const manager = async (...permissions: string[]) => {
    const { token = '' } = await make(null, 'gatehouse', { permissions });
    return callBy(parts, token);
  };
  return {
    parts,
    root,
    clock,
    make,
    revoke,
    status,
    manager,
    beforeNextInsert: (next: () => Promise<unknown>) => (hook = next),
    hold: (until: Promise<void>) => (holding = until),
  };
}

/** Parts whose marking never begins, as of a process that dies after the write. */
function dying(parts: Parts): Parts {
  const nothing = { ofOwner: () => undefined, ofKeyspace: () => undefined };
  return { ...parts, marking: nothing as unknown as Marking };
}

async function listed(parts: Parts, states?: readonly KeyState[], pageSize = 100): Promise<string[]> {
  const root = await callBy(parts, ROOT_KEY);
  const met: string[] = [];
  let pageToken = '';
  do {
    const filter = states === undefined ? {} : { states };
    const question = { keyspace: 'shop', filter, pageSize, pageToken, withTotals: false };
    const page = await listKeys(parts, root.caller, question);
    for (const { key } of page.keys) {
      expect(states ?? [keyState(key, page.now)]).toContain(keyState(key, page.now));
      met.push(key.id);
    }
    pageToken = page.next === undefined ? '' : page.tokenAfter(page.next);
  } while (pageToken !== '');
  return met;
}

describe('totals of one owner', () => {
  const totals = async (parts: Parts, owner?: typeof ALICE, keyspace = 'shop') => {
    const { caller } = await callBy(parts, ROOT_KEY);
    const filter = { ...(owner && { owner }), states: ['active' as const] };
    return (await listKeys(parts, caller, { keyspace, filter, pageSize: 1, pageToken: '', withTotals: true }))
      .totals;
  };

  test.each([
    ['the owner', ALICE],
    ['everyone', undefined],
  ])('count no key that a revocation of %s killed, though no record says so yet', async (_whose, owner) => {
    const { parts, root, make } = await rig();
    for (const who of [ALICE, ALICE, BOB, null]) await make(who);
    await make(ALICE, 'plain');
    const question = { keyspace: 'shop', owner, reason: '', dryRun: false, expectedCount: undefined };
    await revokeKeys(dying(parts), root, question);
    await make(ALICE);
    expect(await totals(parts, ALICE)).toMatchObject({ total: 3, active: 1 });
    expect(await totals(parts, ALICE, '')).toMatchObject({ total: 4, active: 2 });
    expect(await totals(parts, BOB)).toMatchObject({ total: 1, active: owner === undefined ? 0 : 1 });
  });
});

describe('revoking the keys of an owner', () => {
  test('takes all of them in the keyspace and no other, by one write of the owner’s record', async () => {
    const { parts, clock, make, revoke, status } = await rig();
    const keys = [await make(), await make()];
    clock.now += 1;
    keys.unshift(await make(ALICE, 'shop', { project: 'p' }));
    const spared = [await make(BOB), await make(null), await make(ALICE, 'plain')];
    const { count, sample, propagation } = await revoke({ owner: ALICE });
    expect(count).toBe(3);
    expect(sample[0]?.id).toBe(keys[0]?.key.id);
    expect(new Set(sample.map(({ id }) => id))).toEqual(new Set(keys.map(({ key }) => key.id)));
    expect(propagation).toBeDefined();
    for (const { token } of keys) expect(await status(token)).toBe('revoked');
    for (const { token } of spared) expect(await status(token)).toBe('valid');
    expect(await parts.store.getOwner('shop/user:alice')).toMatchObject({ revision: 1, generation: 1 });
    const events = await parts.store.listEvents({ kind: 'owner', id: 'shop/user:alice' });
    expect(events).toMatchObject([
      { action: 'owner.revoke_keys', owner: ALICE, changedFields: ['generation'] },
    ]);
  });

  test('without a keyspace takes them wherever the caller may revoke, and nowhere else', async () => {
    const { make, revoke, status, manager } = await rig();
    const [here, there] = [await make(), await make(ALICE, 'plain')];
    const narrow = await manager('keys:revoke@shop');
    expect((await revoke({ keyspace: '', owner: ALICE }, narrow)).count).toBe(1);
    expect([await status(here.token), await status(there.token)]).toEqual(['revoked', 'valid']);
    expect((await revoke({ keyspace: '', owner: ALICE })).count).toBe(1);
    expect(await status(there.token)).toBe('revoked');
  });

  test('leaves keys alone that are made afterwards', async () => {
    const { make, revoke, status } = await rig();
    await make();
    await revoke({ owner: ALICE });
    const { key, token } = await make();
    expect(key).toMatchObject({ ownerGeneration: 1 });
    expect(await status(token)).toBe('valid');
    expect((await revoke({ owner: ALICE })).count).toBe(1);
    expect(await status(token)).toBe('revoked');
  });

  test('takes one that is being made at that moment, and gives no secret of it', async () => {
    const { parts, make, revoke, beforeNextInsert } = await rig();
    beforeNextInsert(() => revoke({ owner: ALICE }));
    await expect(make()).rejects.toMatchObject({ reason: 'RIGHTS_CHANGED' });
    const [id = ''] = await listed(parts);
    const root = await callBy(parts, ROOT_KEY);
    expect((await getKey(parts, root.caller, id)).key.revokeTime).toBeDefined();
  });

  test('takes one that is being made where the maker dies before it looks again', async () => {
    const { parts, root, make, revoke, beforeNextInsert } = await rig();
    beforeNextInsert(async () => {
      await revoke({ owner: ALICE });
      await parts.marking.settled();
    });
    const mortal = { ...parts, verifier: overlaidVerifier(parts) };
    await createKey(mortal, root, 'shop', { ...NOTHING, name: 'orphan', owner: ALICE }).catch(
      () => undefined,
    );
    const [id = ''] = await listed(parts);
    expect((await parts.store.getKey(id))?.revokeTime).toBeUndefined();
    expect((await getKey(parts, root.caller, id)).key.revokeReason).toBe('leaked');
    expect(await listed(parts, ['active'])).toEqual([]);
    await make();
    expect(await listed(parts, ['active'])).toHaveLength(1);
  });

  test.each([
    ['rotated', (parts: Parts, id: string) => rotate(parts, id)],
    ['changed', (parts: Parts, id: string) => rename(parts, id)],
  ])('makes them final: none is %s before its record is marked', async (_how, attempt) => {
    const { parts, root, make } = await rig();
    const { key } = await make();
    await revokeKeys(dying(parts), root, question({ owner: ALICE }));
    await expect(attempt(parts, key.id)).rejects.toMatchObject({ reason: 'KEY_REVOKED' });
  });

  test('is told by a key that is revoked once more, which changes nothing', async () => {
    const { parts, root, clock, make } = await rig();
    const { key } = await make();
    await revokeKeys(dying(parts), root, question({ owner: ALICE }));
    const time = clock.now;
    clock.now += MINUTE;
    const options = { reason: 'again', includeDescendants: false };
    const { record } = await revokeKey(parts, root, { id: key.id }, options);
    expect(record).toMatchObject({ revokeTime: time, revokeReason: 'leaked' });
  });
});

describe('revoking all keys of a keyspace', () => {
  test('takes every key of it, those without an owner too, by one write of the keyspace', async () => {
    const { parts, make, revoke, status } = await rig();
    const keys = [await make(), await make(null)];
    const spared = await make(ALICE, 'plain');
    expect((await revoke({})).count).toBe(2);
    for (const { token } of keys) expect(await status(token)).toBe('revoked');
    expect(await status(spared.token)).toBe('valid');
    const keyspace = (await parts.store.listKeyspaces()).find(({ id }) => id === 'shop');
    expect(keyspace).toMatchObject({ revision: 2, generation: 1 });
    expect(await status((await make(null)).token)).toBe('valid');
  });

  test('takes one that is being made at that moment', async () => {
    const { parts, make, revoke, beforeNextInsert } = await rig();
    beforeNextInsert(() => revoke({}));
    await expect(make(null)).rejects.toMatchObject({ reason: 'RIGHTS_CHANGED' });
    expect(await listed(parts, ['active', 'disabled', 'expired'])).toEqual([]);
  });

  test('without a keyspace takes all but management keys', async () => {
    const { root, make, revoke, status, parts } = await rig();
    const keys = [await make(), await make(null, 'plain')];
    expect((await revoke({ keyspace: '' })).count).toBe(2);
    for (const { token } of keys) expect(await status(token)).toBe('revoked');
    expect((await callBy(parts, ROOT_KEY)).caller.key.revokeTime).toBeUndefined();
    expect((await getKey(parts, root.caller, root.caller.key.id)).key.revokeTime).toBeUndefined();
  });

  test('is refused for the reserved keyspace', async () => {
    const { revoke, manager } = await rig();
    for (const owner of [undefined, ALICE]) {
      await expect(revoke({ keyspace: 'gatehouse', owner })).rejects.toMatchObject({
        kind: 'precondition',
        reason: 'RESERVED_KEYSPACE',
      });
    }
    const narrow = await manager('keys:revoke');
    await expect(revoke({ keyspace: 'gatehouse' }, narrow)).rejects.toMatchObject({ reason: 'NOT_FOUND' });
  });
});

describe('before anything is revoked', () => {
  test('a dry run counts and shows what would be, and changes nothing', async () => {
    const { parts, make, revoke, status } = await rig();
    const { key, token } = await make();
    const done = await make();
    await revokeKey(
      parts,
      await callBy(parts, ROOT_KEY),
      { id: done.key.id },
      { reason: '', includeDescendants: false },
    );
    const { count, sample, propagation } = await revoke({ owner: ALICE, dryRun: true });
    expect([count, sample.map(({ id }) => id), propagation]).toEqual([1, [key.id], undefined]);
    expect(await status(token)).toBe('valid');
    expect(await parts.store.getOwner('shop/user:alice')).toBeUndefined();
  });

  test('another count than the expected one is refused, and the expected one is not', async () => {
    const { make, revoke, status } = await rig();
    const { token } = await make();
    await expect(revoke({ owner: ALICE, expectedCount: 2 })).rejects.toMatchObject({
      kind: 'precondition',
      reason: 'COUNT_MISMATCH',
    });
    expect(await status(token)).toBe('valid');
    expect((await revoke({ owner: ALICE, expectedCount: 1 })).count).toBe(1);
    expect(await status(token)).toBe('revoked');
  });

  test('keys that an earlier call has revoked do not count, marked or not', async () => {
    const { parts, root, make, revoke } = await rig();
    await make();
    await make(BOB);
    await revokeKeys(dying(parts), root, question({ owner: ALICE }));
    expect((await revoke({ owner: ALICE, dryRun: true })).count).toBe(0);
    expect((await revoke({ dryRun: true })).count).toBe(1);
    await make();
    expect((await revoke({ owner: ALICE })).count).toBe(1);
    expect((await revoke({})).count).toBe(1);
  });

  test.each([
    ['that may only read', ['keys:read'], 'PERMISSION_MISSING'],
    ['narrowed to another keyspace', ['keys:revoke@plain'], 'NOT_FOUND'],
  ])('a caller %s is refused', async (_who, permissions, reason) => {
    const { make, revoke, status, manager } = await rig();
    const { token } = await make();
    await expect(revoke({ owner: ALICE }, await manager(...permissions))).rejects.toMatchObject({ reason });
    expect(await status(token)).toBe('valid');
  });

  test('a self-service caller is refused, also for its own owner', async () => {
    const { parts, make, revoke } = await rig();
    const { token = '' } = await make(ALICE, 'shop', { permissions: ['*'] });
    const origin = await callBy(parts, token);
    await expect(revoke({ owner: ALICE }, origin)).rejects.toMatchObject({ reason: 'PERMISSION_MISSING' });
  });
});

describe('the records of dead keys', () => {
  test('are marked with time, reason and who it was, one event each, and only those', async () => {
    const { parts, root, clock, make, revoke } = await rig();
    const dead = [await make(), await make(ALICE, 'shop', { expiry: { kind: 'ttl', ttl: 10 } })];
    const before = await make();
    await revokeKey(parts, root, { id: before.key.id }, { reason: 'first', includeDescendants: false });
    clock.now += 100;
    await revoke({ owner: ALICE });
    const young = await make();
    await parts.marking.settled();
    for (const { key } of dead) {
      expect(await parts.store.getKey(key.id)).toMatchObject({
        revokeTime: clock.now,
        revokeReason: 'leaked',
      });
      const events = await parts.store.listEvents({ kind: 'key', id: key.id });
      expect(events.map(({ action, actor, requestId }) => [action, actor, requestId])).toEqual([
        ['key.create', root.caller.key.id, 'test'],
        ['key.revoke', root.caller.key.id, 'test'],
      ]);
    }
    expect((await parts.store.getKey(before.key.id))?.revokeReason).toBe('first');
    expect((await parts.store.getKey(young.key.id))?.revokeTime).toBeUndefined();
    expect(await parts.store.listUnmarkedOwners(9)).toEqual([]);
  });

  test('of a keyspace are marked as well', async () => {
    const { parts, make, revoke } = await rig();
    const keys: Awaited<ReturnType<typeof make>>[] = [];
    // Not all at once: what a busy server does not get to within a second is given up.
    for (let round = 0; round < 60; round++) {
      keys.push(...(await Promise.all([make(null), make(null)])));
    }
    await revoke({});
    await parts.marking.settled();
    for (const { key } of keys) expect((await parts.store.getKey(key.id))?.revokeTime).toBeDefined();
    expect((await parts.store.listKeyspaces()).some(({ unmarked }) => unmarked)).toBe(false);
  });

  test('are marked by any process where the one that revoked them died', async () => {
    const { parts, root, clock, make } = await rig();
    const [owned, ownerless] = [await make(), await make(null)];
    await revokeKeys(dying(parts), root, question({ owner: ALICE }));
    await revokeKeys(dying(parts), root, question({}));
    const other = new Marking({
      ...parts,
      now: () => clock.now,
      onError: (error) => expect.fail(String(error)),
    });
    await other.sweep();
    await other.settled();
    // The one that revoked them may still be at it.
    expect((await parts.store.getKey(owned.key.id))?.revokeTime).toBeUndefined();
    clock.now += MINUTE;
    await other.sweep();
    await other.settled();
    for (const { key } of [owned, ownerless])
      expect((await parts.store.getKey(key.id))?.revokeReason).toBe('leaked');
    expect(await parts.store.listUnmarkedOwners(9)).toEqual([]);
  });

  test('that a second call revokes meanwhile are all marked, each with what ended its own generation', async () => {
    const { parts, make, revoke, hold } = await rig();
    const gate = Promise.withResolvers<void>();
    hold(gate.promise);
    const first = await make();
    await revoke({ owner: ALICE, reason: 'one' });
    const second = await make();
    await revoke({ owner: ALICE, reason: 'two' });
    gate.resolve();
    await parts.marking.settled();
    expect((await parts.store.getKey(first.key.id))?.revokeReason).toBe('one');
    expect((await parts.store.getKey(second.key.id))?.revokeReason).toBe('two');
    expect(await parts.store.listUnmarkedOwners(9)).toEqual([]);
  });

  test('need not be marked for pages and filters by state to be right', async () => {
    const { parts, root, make } = await rig();
    const dead = new Set<string>();
    const alive = new Set<string>();
    for (let made = 0; made < 12; made++) {
      dead.add((await make()).key.id);
      alive.add((await make(BOB)).key.id);
    }
    await revokeKeys(dying(parts), root, question({ owner: ALICE }));
    alive.add((await make()).key.id);
    for (const pageSize of [1, 5, 100]) {
      expect(new Set(await listed(parts, ['active'], pageSize))).toEqual(alive);
      expect(new Set(await listed(parts, ['revoked'], pageSize))).toEqual(dead);
      expect(await listed(parts, ['revoked', 'active'], pageSize)).toHaveLength(dead.size + alive.size);
      expect(await listed(parts, undefined, pageSize)).toHaveLength(dead.size + alive.size);
    }
    await revokeKeys(dying(parts), root, question({}));
    expect(await listed(parts, ['active'])).toEqual([]);
    expect(await listed(parts, ['revoked'])).toHaveLength(dead.size + alive.size);
  });

  test('are left for the next start where the service is stopped', async () => {
    const { parts, make, revoke } = await rig();
    await make();
    await parts.marking.stop();
    await revoke({ owner: ALICE });
    await parts.marking.settled();
    expect(await parts.store.listUnmarkedOwners(9)).toHaveLength(1);
  });
});

test('an owner’s other fields survive the revocation of its keys', async () => {
  const { parts, root, revoke } = await rig();
  const place = { keyspace: 'shop', owner: ALICE };
  await updateOwner(parts, root, place, { permissionBound: ['a'], disabled: true }, undefined);
  await revoke({ owner: ALICE });
  expect(await parts.store.getOwner('shop/user:alice')).toMatchObject({
    permissionBound: ['a'],
    disabled: true,
    generation: 1,
  });
});

function question(fields: Partial<RevokeKeysQuestion>): RevokeKeysQuestion {
  return {
    keyspace: 'shop',
    owner: undefined,
    reason: 'leaked',
    dryRun: false,
    expectedCount: undefined,
    ...fields,
  };
}

/** A verifier that answers once: its process dies before it is asked again. */
function overlaidVerifier({ verifier }: Parts): Parts['verifier'] {
  let asked = 0;
  return new Proxy(verifier, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...values: unknown[]) => {
        if (name === 'directory' && asked++ > 0) return Promise.reject(new Error('the process has died'));
        return Reflect.apply(value, target, values);
      };
    },
  });
}

async function rotate(parts: Parts, id: string) {
  const options = { overlap: 0, expectedRevision: undefined, requestId: '' };
  return rotateKey(parts, await callBy(parts, ROOT_KEY), id, options);
}

async function rename(parts: Parts, id: string) {
  return updateKey(parts, await callBy(parts, ROOT_KEY), id, { name: 'renamed' }, undefined);
}
