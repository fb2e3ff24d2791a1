import { describe, expect, test } from 'vitest';
import { Changes } from '../../src/coherence/changes.ts';
import { storeUnavailable } from '../../src/domain/failure.ts';
import { createKey } from '../../src/keys/create.ts';
import { createKeyspace } from '../../src/keys/keyspaces.ts';
import { getKey } from '../../src/keys/read.ts';
import { revokeKey } from '../../src/keys/revoke.ts';
import { type RotateOptions, rotateKey } from '../../src/keys/rotate.ts';
import { updateKey } from '../../src/keys/update.ts';
import { overlaidStore } from '../support/overlaid-store.ts';
import { callBy, draft, makeParts, ROOT_KEY } from '../support/parts.ts';

const DAY = 24 * 3_600_000;
const NOTHING = { permissions: [], metadata: {}, allowedCidrs: [] };
const PLAIN: RotateOptions = { overlap: 0, expectedRevision: undefined, requestId: '' };

async function rig(fields: object = {}) {
  const clock = { now: Date.now() };
  const parts = await makeParts(
    (store) => store,
    undefined,
    () => clock.now,
  );
  const root = await callBy(parts, ROOT_KEY);
  await createKeyspace(parts, root, draft());
  const { key, token = '' } = await createKey(parts, root, 'shop', {
    ...NOTHING,
    name: 'a key',
    owner: { kind: 'user', id: 'alice' },
    ...fields,
  });
  const rotate = (options: Partial<RotateOptions> = {}, origin = root) =>
    rotateKey(parts, origin, key.id, { ...PLAIN, ...options });
  const verify = (secret: string) =>
    parts.verifier.verify(
      { token: secret, keyspaces: [], demands: { permissions: [] }, strong: true, explain: false },
      () => true,
    );
  return { parts, root, clock, key, token, rotate, verify };
}

describe('a rotated key', () => {
  test('keeps its id, expiry and all else, and gets another secret', async () => {
    const { key, token, rotate, verify } = await rig({ permissions: ['a'] });
    const { record, token: next = '' } = await rotate();
    expect(next).not.toBe(token);
    const { generation: _, displayPrefix: __, ...rest } = key;
    expect(record).toMatchObject({
      ...rest,
      revision: 2,
      pending: expect.anything(),
      updateTime: expect.anything(),
    });
    expect(record.displayPrefix).toBe(next.slice(0, 8));
    expect(await verify(next)).toMatchObject({ status: 'valid', secretAge: 'current' });
    expect((await verify(token)).status).toBe('not-found');
  });

  test('accepts the old secret until the overlap has passed, and not at its end', async () => {
    const { clock, token, rotate, verify } = await rig();
    const { token: next = '' } = await rotate({ overlap: 1000 });
    expect(await verify(token)).toMatchObject({ status: 'valid', secretAge: 'previous' });
    clock.now += 999;
    expect((await verify(token)).status).toBe('valid');
    clock.now += 1;
    expect((await verify(token)).status).toBe('not-found');
    expect(await verify(next)).toMatchObject({ status: 'valid', secretAge: 'current' });
  });

  test('that is rotated again within the overlap accepts the older secret no more', async () => {
    const { token, rotate, verify } = await rig();
    const { token: second = '' } = await rotate({ overlap: DAY });
    const { token: third = '' } = await rotate({ overlap: DAY });
    expect((await verify(token)).status).toBe('not-found');
    expect((await verify(second)).secretAge).toBe('previous');
    expect((await verify(third)).secretAge).toBe('current');
  });

  test('has no overlap beyond its expiry', async () => {
    const { parts, rotate } = await rig({ expiry: { kind: 'ttl', ttl: 5000 } });
    const { record } = await rotate({ overlap: DAY });
    expect(record.previous?.expireTime).toBe(record.expireTime);
    expect(parts.now()).toBeLessThan(record.expireTime ?? 0);
  });

  test('shows the last use of the secret before, since the rotation', async () => {
    const { parts, root, clock, key, token, rotate, verify } = await rig();
    await verify(token);
    const { token: next = '' } = await rotate({ overlap: DAY });
    await parts.usage.flush();
    expect((await getKey(parts, root.caller, key.id)).previousLastUsedTime).toBeUndefined();
    clock.now += 7;
    await verify(token);
    const used = clock.now;
    clock.now += 7;
    await verify(next);
    await parts.usage.flush();
    expect(await getKey(parts, root.caller, key.id)).toMatchObject({
      previousLastUsedTime: used,
      usage: { count: 3, lastUsedTime: clock.now },
    });
  });

  test('may have its overlap cut short, and ended, but not made longer', async () => {
    const { parts, root, clock, key, token, rotate, verify } = await rig();
    await rotate({ overlap: DAY });
    const until = (previousSecret: number | null) =>
      updateKey(parts, root, key.id, { previousSecret }, undefined);
    await expect(until(clock.now + 2 * DAY)).rejects.toMatchObject({ kind: 'invalid' });
    await until(clock.now + 10);
    expect((await verify(token)).status).toBe('valid');
    clock.now += 10;
    expect((await verify(token)).status).toBe('not-found');
    await expect(until(clock.now + 1)).rejects.toMatchObject({ reason: 'NO_PREVIOUS_SECRET' });
    const { token: next = '' } = await rotate({ overlap: DAY });
    await rotate({ overlap: DAY });
    expect((await verify(next)).status).toBe('valid');
    await until(null);
    expect((await verify(next)).status).toBe('not-found');
  });

  test('of two rotations at once one wins and the other is a conflict', async () => {
    const { rotate, verify } = await rig();
    const results = await Promise.allSettled([rotate({ overlap: DAY }), rotate({ overlap: DAY })]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    for (const result of results) {
      if (result.status === 'fulfilled')
        expect((await verify(result.value.token ?? '')).status).toBe('valid');
      else expect(result.reason).toMatchObject({ kind: 'conflict', reason: 'REVISION_MISMATCH' });
    }
  });

  test.each([
    ['revoked', 'KEY_REVOKED'],
    ['expired', 'KEY_EXPIRED'],
  ])('that is %s is not rotated', async (how, reason) => {
    const { parts, root, clock, key, rotate } = await rig({ expiry: { kind: 'ttl', ttl: 50 } });
    if (how === 'revoked')
      await revokeKey(parts, root, { id: key.id }, { reason: '', includeDescendants: false });
    else clock.now += 50;
    await expect(rotate()).rejects.toMatchObject({ kind: 'precondition', reason });
  });
});

describe('a rotation with a request_id', () => {
  test('that is repeated does nothing and gives no secret again, also after later rotations', async () => {
    const { rotate, verify } = await rig();
    const first = await rotate({ requestId: 'r1', overlap: DAY });
    const again = await rotate({ requestId: 'r1', overlap: DAY });
    expect(again).toMatchObject({ token: undefined, record: { revision: first.record.revision } });
    expect((await verify(first.token ?? '')).status).toBe('valid');
    await rotate();
    await rotate({ requestId: 'r2' });
    expect((await rotate({ requestId: 'r1', overlap: DAY })).token).toBeUndefined();
    expect((await rotate({ requestId: 'r2' })).token).toBeUndefined();
  });

  test('with other content is refused', async () => {
    const { rotate } = await rig();
    await rotate({ requestId: 'r1' });
    await expect(rotate({ requestId: 'r1', overlap: 1 })).rejects.toMatchObject({
      reason: 'REQUEST_ID_REUSED',
    });
  });

  test('acts once where eight come at once', async () => {
    const { rotate, verify } = await rig();
    const all = await Promise.all(Array.from({ length: 8 }, () => rotate({ requestId: 'r1' })));
    const tokens = all.map(({ token }) => token).filter((token) => token !== undefined);
    expect(tokens).toHaveLength(1);
    expect((await verify(tokens[0] ?? '')).status).toBe('valid');
    expect(all.map(({ record }) => record.revision)).toEqual(all.map(() => 2));
  });

  test('is forgotten after a day', async () => {
    const { clock, rotate } = await rig();
    await rotate({ requestId: 'r1' });
    clock.now += DAY;
    expect((await rotate({ requestId: 'r1' })).token).toBeDefined();
  });
});

describe('a creation with a request_id', () => {
  test('that is repeated gives the same key without its secret; of eight at once one acts', async () => {
    const { parts, root } = await rig();
    const create = () => createKey(parts, root, 'shop', { ...NOTHING, name: 'once' }, 'r1');
    const all = await Promise.all(Array.from({ length: 8 }, create));
    expect(all.filter(({ token }) => token !== undefined)).toHaveLength(1);
    expect(new Set(all.map(({ key }) => key.id)).size).toBe(1);
    expect((await create()).token).toBeUndefined();
    const other = createKey(parts, root, 'shop', { ...NOTHING, name: 'other' }, 'r1');
    await expect(other).rejects.toMatchObject({ kind: 'already-exists', reason: 'REQUEST_ID_REUSED' });
  });

  test('that crashed before the key was there acts when it is repeated', async () => {
    const { parts, root } = await rig();
    const store = overlaidStore(parts.store, {
      insertKey: () => Promise.reject(storeUnavailable(new Error('away'))),
    });
    const broken = { ...parts, changes: new Changes(store, parts.now, () => undefined) };
    const create = (using: typeof parts) =>
      createKey(using, root, 'shop', { ...NOTHING, name: 'once' }, 'r1');
    await expect(create(broken)).rejects.toMatchObject({ kind: 'unavailable' });
    expect((await create(parts)).token).toBeDefined();
    expect((await create(parts)).token).toBeUndefined();
  });
});
