/** What a stream of changes tells, and to whom: every change that takes something away, from where it was said to begin. */

import { describe, expect, test } from 'vitest';
import { ChangeFeed } from '../../src/coherence/feed.ts';
import { spreadHere } from '../../src/coherence/spread.ts';
import type { Caller } from '../../src/domain/caller.ts';
import { Failure } from '../../src/domain/failure.ts';
import {
  RevocationScope,
  type WatchRevocationsRequest,
  type WatchRevocationsResponse,
} from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { createKey } from '../../src/keys/create.ts';
import { createKeyspace } from '../../src/keys/keyspaces.ts';
import { revokeKeys } from '../../src/keys/revoke-keys.ts';
import type { Call } from '../../src/rpc/call.ts';
import { watchRevocations } from '../../src/rpc/handlers/watch-revocations.ts';
import { callBy, draft, makeParts, ROOT_KEY } from '../support/parts.ts';

const MAC_KEY = Buffer.alloc(32, 7).toString('base64url');
const T = 1_800_000_000_000;

async function rig() {
  const parts = await makeParts();
  const root = await callBy(parts, ROOT_KEY);
  await createKeyspace(parts, root, draft());
  const state = { current: true };
  const feed = new ChangeFeed(() => state.current);
  feed.restart({ epoch: 'e', number: 0 });
  const holding = (...permissions: string[]): Caller => ({
    ...root.caller,
    key: { ...root.caller.key, permissions },
  });
  const change = (record: string, keyspace = 'shop', revision = 2) =>
    feed.append([{ record, keyspace, revision, time: T }]);
  const open = (caller: Caller, request: Partial<WatchRevocationsRequest> = {}, { blind = false } = {}) => {
    const abort = new AbortController();
    const now = { caller: async () => caller };
    const call = {
      caller,
      judgedAgain: () => now.caller(),
      judged: () => undefined,
      signal: abort.signal,
      notes: {},
    } as unknown as Call;
    const watch = { verifier: parts.verifier, feed: blind ? undefined : feed, macKey: MAC_KEY, now: () => T };
    const stream = watchRevocations(watch, call, {
      resumeToken: '',
      keyspaces: [],
      ...request,
    } as WatchRevocationsRequest);
    const next = async (): Promise<WatchRevocationsResponse> => {
      const { value } = await stream.next();
      if (value === undefined) throw new Error('the stream has ended');
      return value;
    };
    /** Changes up to the next heartbeat, each as its scope and id. */
    const told = async (): Promise<string[]> => {
      const found: string[] = [];
      for (;;) {
        const { event } = await next();
        if (event.case === 'heartbeat') return found;
        if (event.case !== 'change') throw new Error(`there was a ${event.case}`);
        found.push(`${RevocationScope[event.value.scope]} ${event.value.id}`);
      }
    };
    return { next, told, now, call, end: () => abort.abort(), stream };
  };
  return { state, feed, holding, change, open };
}

const cases = async (next: () => Promise<WatchRevocationsResponse>, count: number) => {
  const found: (string | undefined)[] = [];
  while (found.length < count) found.push((await next()).event.case);
  return found;
};

describe('a stream of changes', () => {
  test('says where it begins, then tells each change with scope, id, keyspace, revision and time, in order', async () => {
    const { holding, change, open } = await rig();
    change('key:key_before');
    const { next, told, call } = open(holding('tokens:verify'));
    expect((await next()).event.case).toBe('position');
    change('key:key_1', 'shop', 5);
    expect((await next()).event).toMatchObject({
      case: 'change',
      value: {
        scope: RevocationScope.KEY,
        id: 'key_1',
        keyspace: 'shop',
        revision: 5n,
        time: { seconds: BigInt(T / 1000) },
      },
    });
    change('owner:shop/user:a/b:c', 'shop', 1);
    change('keyspaces');
    change('key:key_2');
    expect(await told()).toEqual(['OWNER user:a/b:c', 'KEYSPACE shop', 'KEY key_2']);
    expect(call.notes.count).toBe(4);
  });

  test('leaves out what takes nothing from anybody: new secrets, keys and keyspaces', async () => {
    const { holding, change, open } = await rig();
    const { next, told } = open(holding('*'));
    await next();
    change('secret:shop/abc', 'shop', 1);
    change('key:key_new', 'shop', 1);
    change('keyspaces', 'shop', 1);
    expect(await told()).toEqual([]);
  });

  test('tells of keys that were revoked in bulk once, by their owner, and not of the marking of each', async () => {
    const { feed, holding, open } = await rig();
    const parts = await makeParts(
      undefined,
      undefined,
      undefined,
      spreadHere(feed, () => T),
    );
    const root = await callBy(parts, ROOT_KEY);
    await createKeyspace(parts, root, draft());
    const owner = { kind: 'user', id: 'u1' };
    const key = { permissions: [], metadata: {}, allowedCidrs: [], owner };
    for (const name of ['a', 'b', 'c']) await createKey(parts, root, 'shop', { ...key, name });
    const { next, told } = open(holding('*'));
    await next();
    const all = { keyspace: 'shop', owner, reason: '', dryRun: false, expectedCount: undefined };
    expect((await revokeKeys(parts, root, all)).count).toBe(3);
    await parts.marking.settled();
    const marked = feed.after({ epoch: 'e', number: 0 }, 99)?.filter(({ isMark }) => isMark);
    expect(marked?.map(({ record }) => record.split(':')[0])).toEqual(['key', 'key', 'key']);
    expect(await told()).toEqual(['OWNER user:u1']);
  });

  test.each([
    [['*'], [], ['shop', 'default', 'later']],
    [['tokens:verify'], [], ['shop', 'default', 'later']],
    [['tokens:verify@shop', 'keys:read'], [], ['shop']],
    [['*'], ['default', 'gatehouse'], ['default', 'gatehouse']],
    [['tokens:verify'], ['shop'], ['shop']],
    [['tokens:verify@gatehouse', 'tokens:verify@shop'], [], ['shop']],
  ])('of %j, asking for %j, is about %j alone', async (permissions, keyspaces, expected) => {
    const { holding, change, open } = await rig();
    const { next, told } = open(holding(...permissions), { keyspaces });
    await next();
    for (const one of ['shop', 'default', 'gatehouse', 'later']) change(`key:${one}`, one);
    expect(await told()).toEqual(expected.map((one) => `KEY ${one}`));
  });

  test.each([
    [['keys:read'], [], 'denied', 'PERMISSION_MISSING'],
    [['keys:read'], ['shop'], 'denied', 'PERMISSION_MISSING'],
    [['tokens:verify@shop'], ['shop', 'default'], 'not-found', 'NOT_FOUND'],
    [['tokens:verify'], ['gatehouse'], 'not-found', 'NOT_FOUND'],
    [['*'], ['nowhere'], 'not-found', 'NOT_FOUND'],
  ])('of %j, asking for %j, is refused: %s', async (permissions, keyspaces, kind, reason) => {
    const { holding, open } = await rig();
    await expect(open(holding(...permissions), { keyspaces }).next()).rejects.toMatchObject({ kind, reason });
  });

  test('is no key’s outside the reserved keyspace, whatever it holds', async () => {
    const { holding, open } = await rig();
    const root = holding('*');
    const keeper = { ...root, key: { ...root.key, keyspace: 'shop' } };
    await expect(open(keeper).next()).rejects.toMatchObject({ kind: 'denied' });
  });

  test('is refused where changes by other processes are not seen, and where they are not seen now', async () => {
    const { state, holding, open } = await rig();
    await expect(open(holding('*'), {}, { blind: true }).next()).rejects.toMatchObject({
      kind: 'precondition',
      reason: 'NO_CHANGE_LOG',
    });
    state.current = false;
    await expect(open(holding('*')).next()).rejects.toMatchObject({
      kind: 'unavailable',
      reason: 'CHANGES_UNSEEN',
    });
  });

  test('ends when its call does', async () => {
    const { holding, open } = await rig();
    const { next, end, stream } = open(holding('*'));
    await next();
    const last = stream.next();
    end();
    expect(await last).toMatchObject({ done: true });
  });
});

describe('heartbeats', () => {
  test('come about once a second, only while no change can be missed', async () => {
    const { state, holding, change, open } = await rig();
    const { next } = open(holding('*'));
    await next();
    const began = performance.now();
    expect(await cases(next, 2)).toEqual(['heartbeat', 'heartbeat']);
    expect(performance.now() - began).toBeGreaterThan(1500);
    expect(performance.now() - began).toBeLessThan(4000);
    state.current = false;
    const following = next();
    await new Promise((resolve) => setTimeout(resolve, 2500));
    change('key:key_1');
    expect((await following).event.case).toBe('change');
    state.current = true;
    expect((await next()).event.case).toBe('heartbeat');
  });

  test('do not come before a change that is known', async () => {
    const { holding, change, open } = await rig();
    const caller = holding('*');
    const { next, now } = open(caller);
    await next();
    // It is time for one, and while the caller is judged for it something is taken away.
    now.caller = async () => {
      now.caller = async () => caller;
      await new Promise((resolve) => setTimeout(resolve, 50));
      change('key:late');
      return caller;
    };
    expect(await cases(next, 2)).toEqual(['change', 'heartbeat']);
  });

  test('carry the place behind changes that were not this stream’s to tell', async () => {
    const { holding, change, open } = await rig();
    const caller = holding('tokens:verify@shop');
    const { next } = open(caller);
    await next();
    change('key:other', 'default');
    const { event, resumeToken } = await next();
    expect(event.case).toBe('heartbeat');
    change('key:mine');
    const resumed = open(caller, { resumeToken });
    expect(await cases(resumed.next, 1)).toEqual(['position']);
    expect(await resumed.told()).toEqual(['KEY mine']);
  });
});

describe('a resume', () => {
  test('goes on behind the message whose token it was given, whichever that is', async () => {
    const { holding, change, open } = await rig();
    const caller = holding('tokens:verify');
    const first = open(caller);
    const tokens = [(await first.next()).resumeToken];
    for (const id of ['a', 'b', 'c']) {
      change(`key:${id}`);
      tokens.push((await first.next()).resumeToken);
    }
    tokens.push((await first.next()).resumeToken);
    const all = ['KEY a', 'KEY b', 'KEY c'];
    for (const [index, resumeToken] of tokens.entries()) {
      const again = open(caller, { resumeToken });
      const begun = await again.next();
      expect([begun.event.case, begun.resumeToken]).toEqual([
        'position',
        index === 4 ? tokens[3] : resumeToken,
      ]);
      expect(await again.told()).toEqual(all.slice(Math.min(index, 3)));
    }
  });

  test('says so where changes may have been missed: the log is another, or too far ahead', async () => {
    const { feed, holding, change, open } = await rig();
    const caller = holding('*');
    const { resumeToken } = await open(caller).next();
    for (const restart of [
      { epoch: 'f', number: 0 },
      { epoch: 'e', number: 1 },
    ]) {
      feed.restart(restart);
      const again = open(caller, { resumeToken });
      expect(await cases(again.next, 2)).toEqual(['cannotResume', 'position']);
      change('key:key_1');
      expect(await again.told()).toEqual(['KEY key_1']);
    }
  });

  test('of what another replica has told and this one has yet to see tells it once more', async () => {
    const { feed, holding, change, open } = await rig();
    const caller = holding('*');
    change('key:a');
    const { resumeToken } = await open(caller).next();
    feed.restart({ epoch: 'e', number: 0 });
    const behind = open(caller, { resumeToken });
    expect((await behind.next()).event.case).toBe('position');
    change('key:a');
    change('key:b');
    expect(await behind.told()).toEqual(['KEY a', 'KEY b']);
  });

  test('takes no token of another caller or other keyspaces, and none that was made up', async () => {
    const { holding, open } = await rig();
    const caller = holding('*');
    const { resumeToken } = await open(caller, { keyspaces: ['shop', 'default'] }).next();
    const other = { ...caller, key: { ...caller.key, id: 'key_other' } };
    const [position] = resumeToken.split('.');
    for (const [by, request] of [
      [other, { resumeToken, keyspaces: ['shop', 'default'] }],
      [caller, { resumeToken, keyspaces: ['shop'] }],
      [caller, { resumeToken }],
      [caller, { resumeToken: `${position}.`, keyspaces: ['shop', 'default'] }],
      [caller, { resumeToken: 'x', keyspaces: ['shop', 'default'] }],
    ] as const) {
      await expect(
        open(by, { ...request, keyspaces: [...(request.keyspaces ?? [])] }).next(),
      ).rejects.toMatchObject({
        kind: 'invalid',
        violations: [{ field: 'resume_token' }],
      });
    }
    const same = open(caller, { resumeToken, keyspaces: ['default', 'shop'] });
    expect((await same.next()).event.case).toBe('position');
  });
});

describe('a stream that goes on', () => {
  test('says so where changes were missed, and where it begins anew once none can be missed', async () => {
    const { state, feed, holding, change, open } = await rig();
    const { next, told } = open(holding('*'));
    await next();
    state.current = false;
    feed.restart({ epoch: 'f', number: 9 });
    expect((await next()).event.case).toBe('cannotResume');
    const position = next();
    change('key:unsettled');
    state.current = true;
    expect((await position).event.case).toBe('position');
    change('key:later');
    expect(await told()).toEqual(['KEY later']);
  });

  test('says so to a client that has read too slowly', async () => {
    const { holding, change, open } = await rig();
    const { next } = open(holding('*'));
    await next();
    for (let made = 0; made < 21_000; made++) change(`key:${made}`);
    expect(await cases(next, 2)).toEqual(['cannotResume', 'position']);
  });

  test('ends when its caller may not call any more, before anything else is told', async () => {
    const { holding, change, open } = await rig();
    const { next, now } = open(holding('*'));
    await next();
    now.caller = () => Promise.reject(new Failure('unauthenticated', 'CREDENTIALS_INVALID', 'no'));
    change('key:key_1');
    await expect(next()).rejects.toMatchObject({ kind: 'unauthenticated' });
  });

  test('ends so as well where a client reads slowly what was found before', async () => {
    const { holding, change, open } = await rig();
    const { next, now } = open(holding('*'));
    await next();
    for (const id of ['a', 'b', 'c']) change(`key:${id}`);
    expect((await next()).event.case).toBe('change');
    await new Promise((resolve) => setTimeout(resolve, 1200));
    now.caller = () => Promise.reject(new Failure('unauthenticated', 'CREDENTIALS_INVALID', 'no'));
    await expect(next()).rejects.toMatchObject({ kind: 'unauthenticated' });
  });

  test('ends when its caller may verify in fewer keyspaces, and is about more where it may in more', async () => {
    const { holding, change, open } = await rig();
    const { next, now, told } = open(holding('tokens:verify@shop', 'keys:read'));
    await next();
    now.caller = async () => holding('tokens:verify@shop', 'tokens:verify@default');
    change('key:key_1', 'default');
    expect(await told()).toEqual(['KEY key_1']);
    now.caller = async () => holding('tokens:verify@default', '*');
    change('key:key_2', 'shop');
    expect(await told()).toEqual(['KEY key_2']);
    now.caller = async () => holding('tokens:verify@default');
    change('key:key_3', 'default');
    await expect(next()).rejects.toMatchObject({ kind: 'denied', reason: 'PERMISSION_MISSING' });
  });

  test('tells nobody of a change before its caller was judged, that change included', async () => {
    const { holding, change, open } = await rig();
    const { next, now, told } = open(holding('tokens:verify@default'));
    await next();
    // While the caller is judged, it gets more, and something is taken away there.
    now.caller = async () => {
      now.caller = async () => holding('tokens:verify');
      change('key:late', 'shop');
      return holding('tokens:verify@default');
    };
    change('key:key_1', 'default');
    expect(await told()).toEqual(['KEY key_1', 'KEY late']);
  });
});
