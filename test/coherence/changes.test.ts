/** Changes of one record that one process makes at once: none loses to another, each is in the audit trail, few wait. */

import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Changes } from '../../src/coherence/changes.ts';
import { storeUnavailable } from '../../src/domain/failure.ts';
import type { Keyspace } from '../../src/domain/keyspace.ts';
import { createKey } from '../../src/keys/create.ts';
import { createKeyspace, updateKeyspace } from '../../src/keys/keyspaces.ts';
import { updateOwner } from '../../src/keys/owners.ts';
import type { Parts } from '../../src/keys/parts.ts';
import { revokeKey } from '../../src/keys/revoke.ts';
import { revokeKeys } from '../../src/keys/revoke-keys.ts';
import { updateKey } from '../../src/keys/update.ts';
import { T0 } from '../conformance/samples.ts';
import { overlaidStore } from '../support/overlaid-store.ts';
import { callBy, draft, makeParts, ROOT_KEY } from '../support/parts.ts';

/** No more than may wait for one record. */
const RENAMES = 30;

/** One key, and short ways to change it. */
async function withKey(parts: Parts) {
  const root = await callBy(parts, ROOT_KEY);
  const { key } = await createKey(parts, root, 'default', {
    name: 'one',
    permissions: [],
    metadata: {},
    allowedCidrs: [],
  });
  const rename = async (name: string, expectedRevision?: number) =>
    (await updateKey(parts, root, key.id, { name }, expectedRevision)).record;
  const revoke = async () =>
    (await revokeKey(parts, root, { id: key.id }, { reason: 'leaked', includeDescendants: false })).record;
  const stored = () => parts.store.getKey(key.id);
  const events = () => parts.store.listEvents({ kind: 'key', id: key.id });
  return { root, id: key.id, rename, revoke, stored, events };
}

/** 1, 2, ... up to `last`, from `first`. */
function upTo(last: number, first = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

describe('changes of one record at once', () => {
  test('30 renames of one key all succeed, and a revoke after them, one revision and one event each', async () => {
    const { rename, revoke, stored, events } = await withKey(await makeParts());
    const renamed = await Promise.all(upTo(RENAMES).map((index) => rename(`n${index}`)));
    const revoked = await revoke();

    expect(renamed.map(({ revision }) => revision).sort((one, other) => one - other)).toEqual(
      upTo(RENAMES + 1, 2),
    );
    expect(renamed.map(({ name }) => name)).toEqual(upTo(RENAMES).map((index) => `n${index}`));
    expect(revoked.revision).toBe(RENAMES + 2);
    expect(await stored()).toMatchObject({ revokeReason: 'leaked', revision: RENAMES + 2, pending: [] });
    const trail = await events();
    expect(trail.map(({ revision }) => revision)).toEqual(upTo(RENAMES + 2));
    expect(trail.map(({ action }) => action)).toEqual([
      'key.create',
      ...upTo(RENAMES).map(() => 'key.update'),
      'key.revoke',
    ]);
  });

  test('a revoke succeeds among holders of the key who never stop renaming it', async () => {
    const { rename, revoke, stored } = await withKey(await makeParts());
    const renamers = upTo(RENAMES).map(async (index) => {
      for (let round = 0; ; round++) await rename(`n${index}-${round}`);
    });
    const ends = Promise.allSettled(renamers);
    expect((await revoke()).revokeTime).toBeDefined();
    for (const end of await ends) expect(end).toMatchObject({ reason: { reason: 'KEY_REVOKED' } });
    expect((await stored())?.revokeReason).toBe('leaked');
  });

  test('changes of one keyspace at once all succeed as well', async () => {
    const parts = await makeParts();
    const root = await callBy(parts, ROOT_KEY);
    await createKeyspace(parts, root, draft());
    const changes = await Promise.all(
      upTo(30).map((index) =>
        updateKeyspace(
          parts,
          root,
          'shop',
          (one) => ({ ...one, displayName: `${one.displayName}${index} ` }),
          undefined,
        ),
      ),
    );
    expect(new Set(changes.map(({ record }) => record.revision)).size).toBe(30);
    const kept = (await parts.store.listKeyspaces()).find(({ id }) => id === 'shop');
    expect(kept?.revision).toBe(31);
    expect(new Set(kept?.displayName.trim().split(' ')).size).toBe(30);
    const events = await parts.store.listEvents({ kind: 'keyspace', id: 'shop' });
    expect(events.map(({ revision }) => revision)).toEqual(upTo(31));
  });

  test('one that expects a revision which is gone when its turn comes is refused, and changes nothing', async () => {
    const { rename, stored, events } = await withKey(await makeParts());
    const [, late] = await Promise.allSettled([rename('first'), rename('late', 1), rename('last')]);
    expect(late).toMatchObject({
      status: 'rejected',
      reason: { kind: 'conflict', reason: 'REVISION_MISMATCH' },
    });
    expect(await stored()).toMatchObject({ name: 'last', revision: 3 });
    expect(await events()).toHaveLength(3);
    expect((await rename('expected', 3)).revision).toBe(4);
  });

  test('one that is refused does not hold up those behind it', async () => {
    const { rename } = await withKey(await makeParts());
    const refused = rename('refused', 99);
    const next = rename('next');
    await expect(refused).rejects.toMatchObject({ reason: 'REVISION_MISMATCH' });
    expect((await next).name).toBe('next');
  });

  test('a change that the store holds up does not hold up those of other records', async () => {
    const gate = Promise.withResolvers<void>();
    const heldUp = new Set<string>();
    const parts = await makeParts((store) =>
      overlaidStore(store, {
        async replaceKey(next) {
          if (heldUp.has(next.id)) await gate.promise;
          return store.replaceKey(next);
        },
      }),
    );
    const slow = await withKey(parts);
    const other = await withKey(parts);
    heldUp.add(slow.id);
    const waiting = slow.rename('slow');
    expect((await other.rename('other')).name).toBe('other');
    gate.resolve();
    expect((await waiting).name).toBe('slow');
  });
});

describe('a flood of changes of one record', () => {
  const OWNER = { kind: 'user', id: 'u1' };
  const EVERY_KEY = { reason: '', dryRun: false, expectedCount: undefined };
  const SMALL = { action: 'key.update', actor: { id: 'key_holder' }, changedFields: () => [] } as const;
  /** As many as may wait, and the one that is under way. */
  const FLOOD = 33;

  test('fills a short queue; more are refused until it is shorter', async () => {
    const gate = Promise.withResolvers<void>();
    const held = new Set<string>();
    const parts = await makeParts((store) =>
      overlaidStore(store, {
        async replaceKey(next) {
          if (held.has(next.id)) await gate.promise;
          return store.replaceKey(next);
        },
      }),
    );
    const { id, rename } = await withKey(parts);
    held.add(id);
    const waiting = upTo(FLOOD).map((index) => rename(`n${index}`));
    await expect(rename('more')).rejects.toMatchObject({
      kind: 'exhausted',
      reason: 'CHANGES_BUSY',
      retryAfterMs: expect.any(Number),
    });
    gate.resolve();
    await Promise.all(waiting);
    expect((await rename('later')).revision).toBe(FLOOD + 2);
  });

  /** A key, an owner and a keyspace, over a store whose writes take a while. */
  async function flooded() {
    const slowly = async <T>(write: () => Promise<T>) => {
      await setTimeout(5);
      return write();
    };
    const parts = await makeParts((store) =>
      overlaidStore(store, {
        replaceKey: (next) => slowly(() => store.replaceKey(next)),
        replaceOwner: (next) => slowly(() => store.replaceOwner(next)),
        replaceKeyspace: (next) => slowly(() => store.replaceKeyspace(next)),
      }),
    );
    const root = await callBy(parts, ROOT_KEY);
    await createKeyspace(parts, root, draft());
    await updateOwner(parts, root, { keyspace: 'shop', owner: OWNER }, { disabled: false }, undefined);
    const key = await withKey(parts);
    const small = {
      key: (text: string) => key.rename(text),
      owner: (text: string) =>
        parts.changes.changeOwner('shop', OWNER, (one) => ({ ...one, permissionBound: [text] }), SMALL),
      keyspace: (text: string) =>
        parts.changes.changeKeyspace('shop', (one) => ({ ...one, displayName: text }), SMALL),
    };
    return { parts, root, key, small };
  }
  type Flooded = Awaited<ReturnType<typeof flooded>>;

  test.each<[string, keyof Flooded['small'], (rig: Flooded) => Promise<unknown>]>([
    ['RevokeKey', 'key', ({ key }) => key.revoke()],
    [
      'disabling a key',
      'key',
      ({ parts, root, key }) => updateKey(parts, root, key.id, { disabled: true }, undefined),
    ],
    [
      'disabling an owner',
      'owner',
      ({ parts, root }) =>
        updateOwner(parts, root, { keyspace: 'shop', owner: OWNER }, { disabled: true }, undefined),
    ],
    [
      'not_before of an owner',
      'owner',
      ({ parts, root }) =>
        updateOwner(parts, root, { keyspace: 'shop', owner: OWNER }, { notBefore: T0 }, undefined),
    ],
    [
      'RevokeKeys of an owner',
      'owner',
      ({ parts, root }) => revokeKeys(parts, root, { ...EVERY_KEY, keyspace: 'shop', owner: OWNER }),
    ],
    [
      'RevokeKeys of a keyspace',
      'keyspace',
      ({ parts, root }) => revokeKeys(parts, root, { ...EVERY_KEY, keyspace: 'shop', owner: undefined }),
    ],
  ])('%s goes before those that wait, and past their bound', async (_name, target, takeAway) => {
    const rig = await flooded();
    let made = 0;
    const waiting = Promise.allSettled(
      upTo(FLOOD + 5).map(async (index) => {
        await rig.small[target](`n${index}`);
        made++;
      }),
    );
    await takeAway(rig);
    // What follows its write goes on beside the next few.
    expect(made).toBeLessThan(FLOOD / 3);
    const refused = (await waiting).filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThanOrEqual(5);
  });
});

describe('the effective time of a change, where answers outlive it', () => {
  const MINUTE = 60_000;
  const SPREAD = 10_000;

  /** A keyspace, and several processes that change things over its store; no two know of each other. */
  async function processes(fields: Parameters<typeof draft>[0]) {
    const parts = await makeParts();
    const root = await callBy(parts, ROOT_KEY);
    await createKeyspace(parts, root, draft(fields));
    const { id } = await withKey(parts);
    const at = (now: number) => {
      const changes = new Changes(
        parts.store,
        () => now,
        () => undefined,
      );
      return {
        async update(fields: Partial<Keyspace>) {
          const edit = (keyspace: Keyspace) => ({ ...keyspace, ...fields });
          const { propagation, record } = await updateKeyspace(
            { ...parts, changes },
            root,
            'shop',
            edit,
            undefined,
          );
          return { effectiveTime: propagation.effectiveTime, revision: record.revision };
        },
        async rename() {
          const { propagation } = await updateKey(
            { ...parts, changes },
            root,
            id,
            { name: `at ${now}` },
            undefined,
          );
          return propagation.effectiveTime;
        },
      };
    };
    return { parts, at };
  }

  test('is when the longer ones are over, after one that shortens them: that one and all later ones, made anywhere', async () => {
    const { at, parts } = await processes({ clientCacheTtl: MINUTE });
    expect(await at(T0).rename()).toBe(T0 + MINUTE);
    const over = T0 + MINUTE + SPREAD;
    expect((await at(T0).update({ clientCacheTtl: 0 })).effectiveTime).toBe(over);
    expect(await at(T0 + 1).rename()).toBe(over);
    expect(await at(over - 1).rename()).toBe(over);
    expect(await at(over + 1).rename()).toBe(over + 1);
    // It is nobody's field but the store's.
    const [event] = (await parts.store.listEvents({ kind: 'keyspace', id: 'shop' })).slice(-1);
    expect(event?.changedFields).toEqual(['client_cache_ttl']);
  });

  test('is that of the longest, where it is shortened twice, and made longer again', async () => {
    const { at } = await processes({ clientCacheTtl: MINUTE });
    const over = T0 + MINUTE + SPREAD;
    await at(T0).update({ clientCacheTtl: 30_000 });
    await at(T0 + 1).update({ clientCacheTtl: 0 });
    expect(await at(T0 + 2).rename()).toBe(over);
    await at(T0 + 3).update({ clientCacheTtl: 2 * MINUTE });
    expect(await at(T0 + 4).rename()).toBe(T0 + 4 + 2 * MINUTE);
  });

  test('is longer by the time for which a replica that is cut off may go on', async () => {
    const { at } = await processes({
      clientCacheTtl: MINUTE,
      onPartition: 'available',
      partitionBound: MINUTE,
    });
    await at(T0).update({ clientCacheTtl: 0, partitionBound: 2 * MINUTE });
    expect(await at(T0 + 1).rename()).toBe(T0 + 1 + 2 * MINUTE);
    await at(T0 + 2).update({ partitionBound: 1000 });
    expect(await at(T0 + 3).rename()).toBe(T0 + 2 + 2 * MINUTE + SPREAD);
  });

  test('that the store cannot tell leaves the change unconfirmed', async () => {
    const state = { away: false };
    const parts = await makeParts((store) =>
      overlaidStore(store, {
        listKeyspaces: () =>
          state.away ? Promise.reject(storeUnavailable(new Error('away'))) : store.listKeyspaces(),
      }),
    );
    const { id } = await withKey(parts);
    const key = await parts.store.getKey(id);
    if (key === undefined) throw new Error('it was just made');
    state.away = true;
    await expect(parts.changes.confirmKey(key)).rejects.toMatchObject({ reason: 'PROPAGATION_UNCONFIRMED' });
  });
});

describe('an event that cannot be published', () => {
  test('is reported and stays pending; the change is answered as made, and the next one brings it', async () => {
    const state = { failing: false, errors: [] as unknown[] };
    const failure = storeUnavailable(new Error('away'));
    const parts = await makeParts(
      (store) =>
        overlaidStore(store, {
          async publishEvents(record, upTo) {
            if (state.failing) throw failure;
            await store.publishEvents(record, upTo);
          },
        }),
      (error) => state.errors.push(error),
    );
    const { rename, stored, events } = await withKey(parts);
    expect(state.errors).toEqual([]);

    state.failing = true;
    expect(await rename('two')).toMatchObject({ name: 'two', revision: 2 });
    expect(state.errors).toEqual([failure]);
    expect((await stored())?.pending.map(({ revision }) => revision)).toEqual([2]);
    expect((await events()).map(({ revision }) => revision)).toEqual([1]);

    state.failing = false;
    await rename('three');
    expect((await stored())?.pending).toEqual([]);
    expect((await events()).map(({ revision }) => revision)).toEqual([1, 2, 3]);
  });
});
