/** A write with a request_id acts once, whatever fails and whoever comes between it and its repetition. */

import { describe, expect, test } from 'vitest';
import { Changes } from '../../src/coherence/changes.ts';
import type { CallOrigin } from '../../src/domain/caller.ts';
import { storeUnavailable } from '../../src/domain/failure.ts';
import { createKey } from '../../src/keys/create.ts';
import { createKeyspace } from '../../src/keys/keyspaces.ts';
import type { Parts } from '../../src/keys/parts.ts';
import { type RotatedKey, type RotateOptions, rotateKey } from '../../src/keys/rotate.ts';
import { updateKey } from '../../src/keys/update.ts';
import type { KeyStore } from '../../src/storage/key-store.ts';
import { type FailingStore, failingStore, type Loss } from '../support/failing-store.ts';
import { overlaidStore } from '../support/overlaid-store.ts';
import { callBy, draft, makeParts, ROOT_KEY } from '../support/parts.ts';

const DAY = 24 * 3_600_000;
const NOTHING = { permissions: [], metadata: {}, allowedCidrs: [] };

async function rig(wrap: (store: KeyStore) => KeyStore = (store) => store) {
  const clock = { now: Date.now() };
  const parts = await makeParts(
    wrap,
    () => undefined,
    () => clock.now,
  );
  const root = await callBy(parts, ROOT_KEY);
  await createKeyspace(parts, root, draft());
  const { key, token = '' } = await createKey(parts, root, 'shop', { ...NOTHING, name: 'to rotate' });
  const rotate = (requestId: string, by: Parts = parts, options: Partial<RotateOptions> = {}) =>
    rotateKey(by, root, key.id, { overlap: DAY, expectedRevision: undefined, requestId, ...options });
  const create = (requestId: string) =>
    createKey(parts, root, 'shop', { ...NOTHING, name: 'once' }, requestId);
  const verify = async (secret: string) => {
    const question = {
      token: secret,
      keyspaces: [],
      demands: { permissions: [] },
      strong: true,
      explain: false,
    };
    const { status, secretAge } = await parts.verifier.verify(question, () => true);
    return secretAge ?? status;
  };
  return { parts, clock, key, token, rotate, create, verify };
}

/** Another process over the same store. */
function elsewhere(parts: Parts, store: KeyStore = parts.store): Parts {
  return { ...parts, store, changes: new Changes(store, parts.now, () => undefined) };
}

type Call = () => Promise<{ readonly token: string | undefined }>;

/**
 * Runs a scenario with each step of one of its calls failing in turn.
 *
 * @param scenario is given what makes that call; it gives the call's token, if there was one.
 * @returns how many steps the call had.
 */
async function eachStepFailing(
  loss: Loss,
  scenario: (
    rigged: Awaited<ReturnType<typeof rig>>,
    failing: (call: Call) => Promise<string | undefined>,
    step: string,
  ) => Promise<void>,
): Promise<number> {
  for (let step = 0; ; step++) {
    let store: FailingStore | undefined;
    let failed = false;
    const rigged = await rig((inner) => {
      store = failingStore(inner);
      return store.store;
    });
    const failing = async (call: Call) => {
      store?.arm(step, loss);
      const token = await tokenOf(call());
      failed = store?.disarm() ?? false;
      return token;
    };
    await scenario(rigged, failing, `step ${step}, lost ${loss}`);
    if (!failed) return step;
  }
}

async function tokenOf(call: Promise<{ readonly token: string | undefined }>): Promise<string | undefined> {
  return call.then(
    ({ token }) => token,
    (error: unknown) => {
      expect(error).toMatchObject({ kind: 'unavailable' });
      return undefined;
    },
  );
}

/** Each step has a store of its own, which a busy server takes its time to make. */
const MANY_STORES = { timeout: 120_000 };

describe.each(['before', 'after'] as const)(
  'where each step fails in turn, lost %s it was done',
  MANY_STORES,
  (loss) => {
    test('a creation that is repeated leaves one key that lives, and shows at most one secret', async () => {
      const steps = await eachStepFailing(loss, async ({ parts, create, verify }, failing, step) => {
        const first = await failing(() => create('r1'));
        const again = await create('r1');
        expect([first, again.token].filter((token) => token !== undefined).length, step).toBeLessThan(2);
        const filter = { nameContains: 'once', states: ['active' as const] };
        const live = await parts.store.listKeys({ filter, limit: 9, now: parts.now() });
        expect(
          live.map(({ key }) => key.id),
          step,
        ).toEqual([again.key.id]);
        if (again.token !== undefined) expect(await verify(again.token), step).toBe('current');
        expect((await create('r1')).token, step).toBeUndefined();
      });
      expect(steps).toBeGreaterThan(6);
    });

    test('a rotation that is repeated has rotated once, and shows at most one secret', async () => {
      const steps = await eachStepFailing(loss, async ({ token, rotate, verify }, failing, step) => {
        const first = await failing(() => rotate('r1'));
        const again = await rotate('r1');
        const shown = [first, again.token].filter((one) => one !== undefined);
        expect(shown.length, step).toBeLessThan(2);
        // Had it been rotated twice, the first secret would be dead.
        expect(await verify(token), step).toBe('previous');
        for (const one of shown) expect(await verify(one), step).toBe('current');
        expect((await rotate('r1')).token, step).toBeUndefined();
        expect(await verify(token), step).toBe('previous');
      });
      expect(steps).toBeGreaterThan(12);
    });

    test('a rotation under the request_id of the day before is done anew, once', async () => {
      await eachStepFailing(loss, async ({ clock, rotate, verify }, failing, step) => {
        const { token: yesterday = '' } = await rotate('r1');
        clock.now += DAY;
        const first = await failing(() => rotate('r1'));
        const again = await rotate('r1');
        const shown = [first, again.token].filter((one) => one !== undefined);
        expect(await verify(yesterday), step).toBe('previous');
        for (const one of shown) expect(await verify(one), step).toBe('current');
        expect((await rotate('r1')).token, step).toBeUndefined();
      });
    });

    test('a later rotation that fails tells the one before it as done, and only that one', async () => {
      await eachStepFailing(loss, async ({ rotate, verify }, failing, step) => {
        const { token: first = '' } = await rotate('r1');
        const second = await failing(() => rotate('r2'));
        expect((await rotate('r1')).token, step).toBeUndefined();
        const again = await rotate('r2');
        expect((await rotate('r1')).token, step).toBeUndefined();
        expect(await verify(first), step).toBe('previous');
        const shown = second ?? again.token;
        if (shown !== undefined) expect(await verify(shown), step).toBe('current');
      });
    });
  },
);

describe('a rotation with a request_id', () => {
  /** A process that is stopped before its write of the key, and what others do meanwhile. */
  function stoppedBeforeWrite(parts: Parts, meanwhile: () => Promise<unknown>): Parts {
    let once: (() => Promise<unknown>) | undefined = meanwhile;
    return elsewhere(
      parts,
      overlaidStore(parts.store, {
        async replaceKey(next) {
          const run = once;
          once = undefined;
          await run?.();
          return parts.store.replaceKey(next);
        },
      }),
    );
  }

  test('finds it done by another process, though a later rotation has covered it up by then', async () => {
    const { parts, rotate, verify } = await rig();
    let first: RotatedKey | undefined;
    let later: RotatedKey | undefined;
    const late = await rotate(
      'r1',
      stoppedBeforeWrite(parts, async () => {
        first = await rotate('r1', elsewhere(parts));
        later = await rotate('r2', elsewhere(parts));
      }),
    );
    expect([late.token, late.record.revision]).toEqual([undefined, 3]);
    expect((await rotate('r1')).token).toBeUndefined();
    expect(await verify(first?.token ?? '')).toBe('previous');
    expect(await verify(later?.token ?? '')).toBe('current');
  });

  test('that lost to another rotation is refused, and may be tried again', async () => {
    const { parts, rotate, verify } = await rig();
    const late = rotate(
      'r1',
      stoppedBeforeWrite(parts, () => rotate('r2', elsewhere(parts))),
    );
    await expect(late).rejects.toMatchObject({ kind: 'conflict', reason: 'REVISION_MISMATCH' });
    const { token = '' } = await rotate('r1');
    expect(await verify(token)).toBe('current');
    expect((await rotate('r1')).token).toBeUndefined();
  });

  test('of two that are at it at once in two processes one acts, the other is told so', async () => {
    for (let round = 0; round < 20; round++) {
      const { parts, token, rotate, verify } = await rig();
      const all = await Promise.all([rotate('r1'), rotate('r1', elsewhere(parts)), rotate('r1')]);
      expect(all.filter((one) => one.token !== undefined)).toHaveLength(1);
      expect(all.map(({ record }) => record.revision)).toEqual([2, 2, 2]);
      expect(await verify(token)).toBe('previous');
    }
  });

  test('is refused where the key has moved on from expected_revision, and found where it moved it itself', async () => {
    const { rotate } = await rig();
    const options = { expectedRevision: 1 };
    const all = await Promise.all([rotate('r1', undefined, options), rotate('r1', undefined, options)]);
    expect(all.filter((one) => one.token !== undefined)).toHaveLength(1);
    expect((await rotate('r1', undefined, options)).record.revision).toBe(2);
    await expect(rotate('r2', undefined, options)).rejects.toMatchObject({ reason: 'REVISION_MISMATCH' });
  });

  test('belongs to its caller: another one with the same id acts for itself', async () => {
    const { parts, key, rotate } = await rig();
    const made = await createKey(parts, await callBy(parts, ROOT_KEY), 'gatehouse', {
      ...NOTHING,
      name: 'other',
      permissions: ['keys:rotate', 'keys:create'],
    });
    const other = await callBy(parts, made.token ?? '');
    await rotate('r1');
    const options = { overlap: DAY, expectedRevision: undefined, requestId: 'r1' };
    expect((await rotateKey(parts, other, key.id, options)).token).toBeDefined();
    // Another RPC has its own as well.
    expect((await createKey(parts, other, 'shop', { ...NOTHING, name: 'x' }, 'r1')).token).toBeDefined();
  });
});

describe('a creation with a request_id', () => {
  test('that finds its key made meanwhile shows it only to a caller that still reaches it', async () => {
    const { parts } = await rig();
    const root = await callBy(parts, ROOT_KEY);
    const owner = { kind: 'user', id: 'alice' };
    const maker = await createKey(parts, root, 'shop', { ...NOTHING, name: 'maker', owner, project: 'a' });
    const create = async (by: Parts, origin: CallOrigin) =>
      createKey(by, origin, 'shop', { ...NOTHING, name: 'once' }, 'r1');
    const before = await callBy(parts, maker.token ?? '');
    await updateKey(parts, root, maker.key.id, { project: 'b' }, undefined);

    // Began while the caller was bound to another project, and its process ends just after the key is there.
    const dead = storeUnavailable(new Error('gone'));
    const dying = overlaidStore(parts.store, {
      async insertKey(key, secret) {
        await parts.store.insertKey(key, secret);
        throw dead;
      },
    });
    let made = false;
    const late = overlaidStore(parts.store, {
      async insertRequest(request) {
        if (!made) await expect(create(elsewhere(parts, dying), before)).rejects.toBe(dead);
        made = true;
        return parts.store.insertRequest(request);
      },
    });
    const after = await callBy(parts, maker.token ?? '');
    await expect(create(elsewhere(parts, late), after)).rejects.toMatchObject({ reason: 'NOT_FOUND' });
    expect(made).toBe(true);
    expect((await create(parts, before)).token).toBeUndefined();
  });
});
