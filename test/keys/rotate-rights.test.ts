/** Who loses its rights, or whose key dies, while it rotates gets no secret; and no rotation takes a key out of reach. */

import { describe, expect, test } from 'vitest';
import { Changes } from '../../src/coherence/changes.ts';
import type { CallOrigin } from '../../src/domain/caller.ts';
import { createKey } from '../../src/keys/create.ts';
import { createKeyspace, updateKeyspace } from '../../src/keys/keyspaces.ts';
import type { Parts } from '../../src/keys/parts.ts';
import { revokeKey } from '../../src/keys/revoke.ts';
import { rotateKey } from '../../src/keys/rotate.ts';
import { type KeyChanges, updateKey } from '../../src/keys/update.ts';
import { overlaidStore } from '../support/overlaid-store.ts';
import { callBy, draft, makeParts, ROOT_KEY } from '../support/parts.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const OWNER = { kind: 'user', id: 'alice' };
const NOTHING = { permissions: [], metadata: {}, allowedCidrs: [] };
const PLAIN = { overlap: 0, expectedRevision: undefined, requestId: '' };
const KEEP = { reason: '', includeDescendants: false };
const FAMILY = { reason: '', includeDescendants: true };

interface Made {
  readonly id: string;
  readonly token: string;
}

async function rig() {
  const parts = await makeParts();
  const root = await callBy(parts, ROOT_KEY);
  await createKeyspace(parts, root, draft());
  const make = async (fields: object = {}, origin: CallOrigin = root, keyspace = 'shop'): Promise<Made> => {
    const owner = keyspace === 'shop' && origin === root ? { owner: OWNER } : {};
    const request = { ...NOTHING, ...owner, name: 'a key', ...fields };
    const { key, token = '' } = await createKey(parts, origin, keyspace, request);
    return { id: key.id, token };
  };
  const rotate = (origin: CallOrigin, { id }: Made, overlap = 0, by: Parts = parts) =>
    rotateKey(by, origin, id, { ...PLAIN, overlap });
  const update = (id: string, changes: KeyChanges) => updateKey(parts, root, id, changes, undefined);
  const verify = async (token: string) => {
    const question = { token, keyspaces: [], demands: { permissions: [] }, strong: true, explain: false };
    const { status, secretAge } = await parts.verifier.verify(question, () => true);
    return status === 'valid' ? secretAge : status;
  };
  const parentOf = async ({ id }: Made) => (await parts.store.getKey(id))?.parentKeyId;
  return { parts, root, make, rotate, update, verify, parentOf, as: (one: Made) => callBy(parts, one.token) };
}

/** Another process over the same store, in which something happens once, next to its next write of a key. */
function meeting(parts: Parts, when: 'before' | 'after', what: () => Promise<unknown>): Parts {
  let once: (() => Promise<unknown>) | undefined = what;
  const run = async () => {
    const now = once;
    once = undefined;
    await now?.();
  };
  const store = overlaidStore(parts.store, {
    async replaceKey(next) {
      if (when === 'before') await run();
      const written = await parts.store.replaceKey(next);
      if (when === 'after') await run();
      return written;
    },
  });
  return { ...parts, store, changes: new Changes(store, parts.now, () => undefined) };
}

type Rig = Awaited<ReturnType<typeof rig>>;

describe.each(['before', 'after'] as const)('a rotation by a caller that, just %s its write,', (when) => {
  const revoke = ({ parts, root }: Rig, { id }: Made) => revokeKey(parts, root, { id }, KEEP);
  test.each<[string, string, (rigged: Rig, caller: Made, key: Made) => Promise<unknown>]>([
    ['was revoked', 'CREDENTIALS_INVALID', (rigged, caller) => revoke(rigged, caller)],
    ['was disabled', 'CREDENTIALS_INVALID', ({ update }, { id }) => update(id, { disabled: true })],
    ['lost a permission', 'HOLDS_MORE_THAN_CALLER', ({ update }, { id }) => update(id, { permissions: [] })],
    [
      'was bound to a network',
      'CREDENTIALS_INVALID',
      ({ update }, { id }) => update(id, { allowedCidrs: ['192.0.2.0/24'] }),
    ],
    ['was bound to a project', 'NOT_FOUND', ({ update }, { id }) => update(id, { project: 'b' })],
    [
      'was given an end',
      'HOLDS_MORE_THAN_CALLER',
      ({ update }, { id }) => update(id, { expireTime: Date.now() + DAY }),
    ],
    [
      'had its own secret replaced',
      'CREDENTIALS_INVALID',
      ({ rotate, root }, caller) => rotate(root, caller),
    ],
    [
      'lost its self-service',
      'PERMISSION_MISSING',
      ({ parts, root }) =>
        updateKeyspace(parts, root, 'shop', (one) => ({ ...one, selfServiceCallers: [] }), undefined),
    ],
    [
      'was overtaken by a wider key',
      'HOLDS_MORE_THAN_CALLER',
      ({ update }, _caller, { id }) => update(id, { permissions: ['a', 'b'] }),
    ],
    ['was overtaken by the key’s revocation', 'KEY_REVOKED', (rigged, _caller, key) => revoke(rigged, key)],
  ])('%s is undone, and gives no secret', async (_what, reason, meanwhile) => {
    const rigged = await rig();
    const { parts, make, rotate, verify, as } = rigged;
    const caller = await make({ permissions: ['a'] });
    const key = await make({ permissions: ['a'] });
    const before = await parts.store.getKey(key.id);
    const by = meeting(parts, when, () => meanwhile(rigged, caller, key));
    await expect(rotate(await as(caller), key, DAY, by)).rejects.toMatchObject({ reason });
    expect(await verify(key.token)).toBe(reason === 'KEY_REVOKED' ? 'revoked' : 'current');
    const after = await parts.store.getKey(key.id);
    // What is revoked already is not even touched.
    if (reason === 'KEY_REVOKED' && when === 'before') expect(after?.revision).toBe(2);
    for (const field of [
      'generation',
      'previous',
      'displayPrefix',
      'parentKeyId',
      'rotationRequest',
    ] as const) {
      expect(after?.[field], field).toEqual(before?.[field]);
    }
  });
});

test('a rotation that is undone leaves alone what another one did meanwhile, and the secret that it replaced', async () => {
  const { parts, root, make, rotate, verify, as } = await rig();
  const [caller, key] = [await make(), await make()];
  let next = '';
  const by = meeting(parts, 'after', async () => {
    next = (await rotate(root, key, DAY)).token ?? '';
    await revokeKey(parts, root, { id: caller.id }, KEEP);
  });
  await expect(rotate(await as(caller), key, 0, by)).rejects.toMatchObject({ reason: 'CREDENTIALS_INVALID' });
  expect(await verify(next)).toBe('current');
  expect(await verify(key.token)).toBe('previous');
});

test.each([
  ['ended', null, 'not-found'],
  ['cut short', HOUR, 'previous'],
])(
  'a rotation that is undone brings no secret back whose overlap was %s meanwhile',
  async (_what, rest, expected) => {
    const { parts, root, make, rotate, update, verify, as } = await rig();
    const [caller, key] = [await make(), await make()];
    const end = rest === null ? null : Date.now() + rest;
    const by = meeting(parts, 'after', async () => {
      await update(key.id, { previousSecret: end });
      await revokeKey(parts, root, { id: caller.id }, KEEP);
    });
    const undone = rotate(await as(caller), key, DAY, by);
    await expect(undone).rejects.toMatchObject({ reason: 'CREDENTIALS_INVALID' });
    expect(await verify(key.token)).toBe(expected);
    expect((await parts.store.getKey(key.id))?.previous?.expireTime).toBe(end ?? undefined);
  },
);

test('of two rotations, one upon the other, both of which are undone, the secret before them is left', async () => {
  const { parts, root, make, rotate, update, verify, as } = await rig();
  const [first, second, key] = [await make(), await make(), await make()];
  const firstUndone = Promise.withResolvers<void>();
  let upper: Promise<unknown> | undefined;
  const lower = meeting(parts, 'after', async () => {
    const written = Promise.withResolvers<void>();
    const by = meeting(parts, 'after', async () => {
      written.resolve();
      await firstUndone.promise;
      await update(second.id, { disabled: true });
    });
    upper = rotate(await as(second), key, DAY, by);
    await written.promise;
    await revokeKey(parts, root, { id: first.id }, KEEP);
  });
  const refused = { reason: 'CREDENTIALS_INVALID' };
  await expect(rotate(await as(first), key, DAY, lower)).rejects.toMatchObject(refused);
  firstUndone.resolve();
  await expect(upper).rejects.toMatchObject(refused);
  expect(await verify(key.token)).toBe('current');
  expect((await parts.store.getKey(key.id))?.previous).toBeUndefined();
});

test('a key may rotate itself, with an overlap and without, and goes on with its new secret', async () => {
  const { make, rotate, verify, as, parentOf } = await rig();
  const key = await make({ permissions: ['a'], allowedCidrs: [], expiry: { kind: 'ttl', ttl: DAY } });
  const { token = '' } = await rotate(await as(key), key);
  expect(await verify(key.token)).toBe('not-found');
  const again = await rotate(await as({ ...key, token }), key, DAY);
  expect(await verify(token)).toBe('previous');
  expect(await verify(again.token ?? '')).toBe('current');
  expect(await parentOf(key)).toBeUndefined();
});

describe.each(['before it looks at the key', 'just before its write'])(
  'a rotation by the key itself, with a secret that dies %s,',
  (when) => {
    const atWrite = when === 'just before its write';

    test('as another rotation replaces it, gives no secret: the one that replaced it stays', async () => {
      const { parts, root, make, rotate, verify, as } = await rig();
      const key = await make();
      const leaked = await as(key);
      let next = '';
      const replace = async () => (next = (await rotate(root, key)).token ?? '');
      if (!atWrite) await replace();
      const call = rotate(leaked, key, DAY, atWrite ? meeting(parts, 'before', replace) : parts);
      await expect(call).rejects.toMatchObject({
        reason: atWrite ? 'REVISION_MISMATCH' : 'CREDENTIALS_INVALID',
      });
      expect(await verify(next)).toBe('current');
      expect((await parts.store.getKey(key.id))?.previous).toBeUndefined();
    });

    test('as its overlap is ended, gives no secret', async () => {
      const { parts, root, make, rotate, update, verify, as } = await rig();
      const key = await make();
      const leaked = await as(key);
      const { token: next = '' } = await rotate(root, key, DAY);
      const end = () => update(key.id, { previousSecret: null });
      if (!atWrite) await end();
      const call = rotate(leaked, key, DAY, atWrite ? meeting(parts, 'before', end) : parts);
      await expect(call).rejects.toMatchObject({ reason: 'CREDENTIALS_INVALID' });
      expect(await verify(next)).toBe('current');
      expect((await parts.store.getKey(key.id))?.previous).toBeUndefined();
    });
  },
);

describe('who rotated a key by self-service', () => {
  test('is its parent from then on; a management key is not', async () => {
    const { root, make, rotate, as, parentOf } = await rig();
    const [maker, other] = [await make(), await make()];
    const child = await make({}, await as(maker));
    expect(await parentOf(child)).toBe(maker.id);
    await rotate(await as(other), child);
    expect(await parentOf(child)).toBe(other.id);
    await rotate(root, child);
    expect(await parentOf(child)).toBe(other.id);
  });

  test('is not where it descends from the key, however far: the key stays with its maker', async () => {
    const { make, rotate, as, parentOf } = await rig();
    const first = await make();
    const second = await make({}, await as(first));
    let last = second;
    for (let depth = 0; depth < 5; depth++) last = await make({}, await as(last));
    await rotate(await as(last), second);
    expect(await parentOf(second)).toBe(first.id);
    await rotate(await as(last), first);
    expect(await parentOf(first)).toBeUndefined();
  });

  test('is so behind a chain of any length: a long one is no way out of the family', async () => {
    const { parts, make, rotate, as, parentOf } = await rig();
    const [first, stranger] = [await make(), await make()];
    const template = await parts.store.getKey(first.id);
    if (template === undefined) throw new Error('the key is gone');
    const links = Array.from({ length: 1500 }, (_, depth) => {
      const parentKeyId = depth === 0 ? first.id : `key_link${depth - 1}`;
      return { ...template, id: `key_link${depth}`, generation: `g${depth}`, parentKeyId };
    });
    for (let start = 0; start < links.length; start += 50) {
      const some = links.slice(start, start + 50).map((link) => {
        const secret = { keyspace: 'shop', lookup: `of ${link.id}`, keyId: link.id } as const;
        return parts.store.insertKey(link, { ...secret, generation: link.generation, algorithm: 'sha256' });
      });
      await Promise.all(some);
    }
    const parentKeyId = links.at(-1)?.id ?? '';
    const last = await make();
    const record = await parts.store.getKey(last.id);
    if (record === undefined) throw new Error('the key is gone');
    await parts.store.replaceKey({ ...record, parentKeyId, revision: record.revision + 1 });
    await rotate(await as(last), stranger);
    expect(await parentOf(stranger)).toBe(last.id);
    await rotate(await as(last), first);
    expect(await parentOf(first)).toBeUndefined();
  }, 120_000);

  test('of two keys that rotate each other, one after the other or at once, neither leaves the family', async () => {
    for (const atOnce of [false, true]) {
      const { parts, root, make, rotate, verify, as } = await rig();
      const maker = await make();
      const [one, other] = [await make({}, await as(maker)), await make({}, await as(maker))];
      const origins = [await as(one), await as(other)] as const;
      // Both have an overlap, or the first rotation would take away the second's credential.
      const calls = [() => rotate(origins[0], other, DAY), () => rotate(origins[1], one, DAY)];
      const tokens: string[] = [];
      const ended = async (call: (typeof calls)[number]) => {
        const token = await call().then(
          (rotated) => rotated.token,
          (error: unknown) => {
            expect(error).toMatchObject({ reason: 'RIGHTS_CHANGED' });
            return undefined;
          },
        );
        if (token !== undefined) tokens.push(token);
      };
      if (atOnce) await Promise.all(calls.map(ended));
      else for (const call of calls) await ended(call);
      await revokeKey(parts, root, { id: maker.id }, FAMILY);
      for (const token of [one.token, other.token, ...tokens]) expect(await verify(token)).toBe('revoked');
    }
  });

  test('of two keys that rotate each other, each before the other’s check, neither leaves the family', async () => {
    const { parts, root, make, rotate, as } = await rig();
    const maker = await make();
    const [one, other] = [await make({}, await as(maker)), await make({}, await as(maker))];
    const [first, second] = [await as(one), await as(other)];
    // The second one has looked before the first one wrote, and writes before the first one looks again.
    const late = meeting(parts, 'before', () => rotate(first, other, DAY, parts));
    await expect(rotate(second, one, DAY, late)).rejects.toMatchObject({ reason: 'RIGHTS_CHANGED' });
    await revokeKey(parts, root, { id: maker.id }, FAMILY);
    for (const { id } of [one, other]) expect((await parts.store.getKey(id))?.revokeTime, id).toBeDefined();
  });
});

describe('revoking a key with its descendants', () => {
  test('revokes three generations, and those that it rotated, and no other key of the owner', async () => {
    const { parts, root, make, rotate, verify, as } = await rig();
    const [maker, adopted, stranger] = [await make(), await make(), await make()];
    const child = await make({}, await as(maker));
    const grandchild = await make({}, await as(child));
    await make({}, await as(grandchild));
    const { token: adoptedToken = '' } = await rotate(await as(grandchild), adopted);
    const { descendants } = await revokeKey(parts, root, { id: maker.id }, KEEP);
    expect([descendants.size, descendants.keys.length]).toEqual([4, 4]);
    expect(await verify(grandchild.token)).toBe('current');

    const after = await revokeKey(parts, root, { id: maker.id }, { ...FAMILY, reason: 'leaked' });
    expect(after.descendants).toEqual({ keys: [], size: 0 });
    for (const token of [child.token, grandchild.token, adoptedToken]) {
      expect(await verify(token)).toBe('revoked');
    }
    expect(await verify(stranger.token)).toBe('current');
    expect((await parts.store.getKey(grandchild.id))?.revokeReason).toBe('leaked');
  });

  test('misses none that is being made at that moment, by whichever of them', async () => {
    for (let round = 0; round < 10; round++) {
      const { parts, root, make, verify, as } = await rig();
      const maker = await make();
      const child = await make({}, await as(maker));
      const origins = [await as(maker), await as(child)];
      const made: Made[] = [];
      const flood = origins.flatMap((origin) =>
        Array.from({ length: 4 }, async () => {
          for (;;) made.push(await make({}, origin));
        }),
      );
      const ended = Promise.allSettled(flood);
      for (let turns = 0; turns < round * 7; turns++) await Promise.resolve();
      await revokeKey(parts, root, { id: maker.id }, FAMILY);
      for (const one of await ended) expect(one.status).toBe('rejected');
      for (const { token } of made) expect(await verify(token)).toBe('revoked');
      const filter = { keyspaces: ['shop'], states: ['active' as const] };
      expect(await parts.store.countKeys(filter, parts.now())).toMatchObject({ active: 0 });
    }
  });

  test('misses none that hides while it is looked for, under a parent whose children are known already', async () => {
    const { parts, root, make, rotate, as, parentOf } = await rig();
    const maker = await make();
    const child = await make({}, await as(maker));
    const grandchild = await make({}, await as(child));
    const caller = await as(maker);
    const undo = Promise.withResolvers<void>();
    let hiding: Promise<unknown> | undefined;
    let undone = false;
    const looking = overlaidStore(parts.store, {
      async listChildren(parent, after, limit) {
        const children = await parts.store.listChildren(parent, after, limit);
        if (hiding === undefined) {
          // Let in before the revocation: undone for it, but only when nobody looks there any more.
          const written = Promise.withResolvers<void>();
          const by = meeting(parts, 'after', async () => {
            written.resolve();
            await undo.promise;
          });
          hiding = rotate(caller, grandchild, 0, by);
          hiding.catch(() => undefined);
          await written.promise;
          expect(await parentOf(grandchild)).toBe(maker.id);
        } else if (parent === child.id && !undone) {
          undone = true;
          undo.resolve();
          await expect(hiding).rejects.toMatchObject({ reason: 'CREDENTIALS_INVALID' });
        }
        return children;
      },
    });
    const { descendants } = await revokeKey({ ...parts, store: looking }, root, { id: maker.id }, FAMILY);
    expect(await parentOf(grandchild)).toBe(child.id);
    expect((await parts.store.getKey(grandchild.id))?.revokeTime).toBeDefined();
    expect(descendants.size).toBe(0);
  });

  test('comes to an end in a circle of keys, which a crash may leave, and takes each of them once', async () => {
    const { parts, root, make, rotate, as, parentOf } = await rig();
    const keys = [await make(), await make(), await make()];
    const stranger = await make();
    for (const [index, { id }] of keys.entries()) {
      const key = await parts.store.getKey(id);
      const parentKeyId = keys[(index + 1) % keys.length]?.id ?? '';
      if (key !== undefined) await parts.store.replaceKey({ ...key, parentKeyId, revision: 2 });
    }
    const [first = stranger] = keys;
    await rotate(await as(first), stranger);
    expect(await parentOf(stranger)).toBe(first.id);
    await rotate(root, first);
    const { descendants } = await revokeKey(parts, root, { id: first.id }, KEEP);
    expect([descendants.size, descendants.keys.length]).toEqual([3, 3]);
    await revokeKey(parts, root, { id: first.id }, FAMILY);
    for (const { id } of [...keys, stranger]) {
      expect((await parts.store.getKey(id))?.revokeTime).toBeDefined();
    }
  });

  test('may be repeated where it broke off: what was left is revoked then', async () => {
    const { parts, root, make, as } = await rig();
    const maker = await make();
    const child = await make({}, await as(maker));
    const grandchild = await make({}, await as(child));
    await revokeKey(parts, root, { id: maker.id }, KEEP);
    await revokeKey(parts, root, { id: child.id }, KEEP);
    await revokeKey(parts, root, { id: maker.id }, FAMILY);
    expect((await parts.store.getKey(grandchild.id))?.revokeTime).toBeDefined();
  });

  test('shows the newest hundred of those that live, and how many there are', async () => {
    const { parts, root, make, as } = await rig();
    const maker = await make();
    const origin = await as(maker);
    const made: Made[] = [];
    for (let index = 0; index < 250; index++) made.push(await make({}, origin));
    await revokeKey(parts, root, { id: made[249]?.id ?? '' }, KEEP);
    const { descendants } = await revokeKey(parts, root, { id: maker.id }, KEEP);
    expect(descendants.size).toBe(249);
    const times = descendants.keys.map(({ createTime }) => createTime);
    expect(times).toEqual([...times].sort((one, other) => other - one));
    expect(times).toHaveLength(100);
    const stored = await Promise.all(made.slice(0, 100).map(({ id }) => parts.store.getKey(id)));
    expect(Math.min(...times)).toBeGreaterThanOrEqual(Math.max(...stored.map((key) => key?.createTime ?? 0)));
  }, 120_000);
});
