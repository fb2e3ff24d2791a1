/** A client that keeps answers is told of every change that may end them, by whichever process, on either port. */

import { setTimeout as after } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  AuthService,
  RevocationScope,
  type WatchRevocationsResponse,
} from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import {
  callJson,
  type Gatehouse,
  overMongo,
  type StartOptions,
  startGatehouse,
} from '../support/gatehouse.ts';
import { type GrpcStream, openStream } from '../support/grpc-stream.ts';
import { REDIS, type RedisServer, startRedis } from '../support/redis.ts';

const { watchRevocations } = AuthService.method;

/** Over MongoDB others may write, so that changes are only seen through Redis. */
const watchable = !overMongo || REDIS !== '';
let redis: RedisServer | undefined;
let gatehouse: Gatehouse;

beforeAll(async () => {
  if (overMongo && REDIS !== '') redis = await startRedis();
  gatehouse = await start();
});
afterAll(async () => {
  await gatehouse.remove();
  await redis?.remove();
});

function start({ env = {}, ...options }: StartOptions = {}): Promise<Gatehouse> {
  return startGatehouse({ ...options, env: { ...(redis && { REDIS_URL: redis.url() }), ...env } });
}

const root = (method: string, body: unknown, at = gatehouse) =>
  callJson(at, method, body, { key: at.rootKey });

async function make(keyspace: string, more: object = {}): Promise<{ id: string; secret: string }> {
  const { body } = await root('KeyService/CreateKey', { keyspace, name: 'x', ...more });
  return { id: body.key.id, secret: body.secret };
}

type Stream = GrpcStream<WatchRevocationsResponse>;

async function watch(
  at = gatehouse,
  request: { resumeToken?: string; keyspaces?: string[] } = {},
  key = at.rootKey,
): Promise<Stream> {
  const stream = openStream(at.grpc, watchRevocations, request, key);
  onTestFinished(() => stream.cancel());
  await stream.until(1);
  return stream;
}

/** All but heartbeats: what happened, or the scope and id of what changed. */
const told = ({ got }: Stream): (string | undefined)[] =>
  got.flatMap(({ event }) => {
    if (event.case === 'heartbeat') return [];
    return event.case === 'change'
      ? [`${RevocationScope[event.value.scope]} ${event.value.id}`]
      : [event.case];
  });

async function until(stream: Stream, last: string, count = 1): Promise<void> {
  while (told(stream).filter((one) => one === last).length < count) await stream.until(stream.got.length + 1);
}

async function beat(stream: Stream): Promise<void> {
  const seen = stream.got.length;
  while (!stream.got.slice(seen).some(({ event }) => event.case === 'heartbeat'))
    await stream.until(stream.got.length + 1);
}

if (watchable)
  describe('a stream of changes', () => {
    test('tells what was changed, in order', async () => {
      const stream = await watch();
      const owner = { keyspace: 'default', kind: 'user', id: 'a:b' };
      const { id } = await make('default', { owner: { kind: 'user', id: 'a:b' } });
      await root('KeyService/UpdateKey', { key: { id, disabled: true }, updateMask: 'disabled' });
      await root('KeyService/RotateKey', { id });
      await root('OwnerService/UpdateOwner', { owner: { ...owner, disabled: true }, updateMask: 'disabled' });
      await root('KeyspaceService/UpdateKeyspace', {
        keyspace: { id: 'default', displayName: 'D' },
        updateMask: 'displayName',
      });
      const { body } = await root('KeyService/RevokeKey', { id });
      await until(stream, `KEY ${id}`, 3);
      expect(told(stream)).toEqual([
        'position',
        `KEY ${id}`,
        `KEY ${id}`,
        'OWNER user:a:b',
        'KEYSPACE default',
        `KEY ${id}`,
      ]);
      expect(stream.got.at(-1)?.event).toMatchObject({
        value: { keyspace: 'default', revision: BigInt(body.key.revision) },
      });
    });

    test('tells of all keys of an owner by one change, and of none that is only marked', async () => {
      const owner = { kind: 'user', id: 'many' };
      const keys = [await make('default', { owner }), await make('default', { owner })];
      const stream = await watch();
      await root('KeyService/RevokeKeys', { keyspace: 'default', owner });
      await until(stream, 'OWNER user:many');
      const [first] = keys;
      await root('KeyService/RevokeKey', { id: first?.id });
      await until(stream, `KEY ${first?.id}`);
      await beat(stream);
      expect(told(stream)).toEqual(['position', 'OWNER user:many', `KEY ${first?.id}`]);
    });

    test('tells of management keys whoever names their keyspace, and of no keyspace that was not asked for', async () => {
      const [all, management] = [await watch(), await watch(gatehouse, { keyspaces: ['gatehouse'] })];
      const manager = await make('gatehouse', { permissions: ['keys:read'] });
      const key = await make('default');
      for (const { id } of [manager, key]) await root('KeyService/RevokeKey', { id });
      await until(all, `KEY ${key.id}`);
      await until(management, `KEY ${manager.id}`);
      await Promise.all([beat(all), beat(management)]);
      expect(told(all)).toEqual(['position', `KEY ${key.id}`]);
      expect(told(management)).toEqual(['position', `KEY ${manager.id}`]);
    });

    test('is resumed where it broke off, so that no change is missed', async () => {
      const first = await watch();
      const [before, between] = [await make('default'), await make('default')];
      await root('KeyService/RevokeKey', { id: before.id });
      await until(first, `KEY ${before.id}`);
      first.cancel();
      await first.ended;
      await root('KeyService/RevokeKey', { id: between.id });
      const second = await watch(gatehouse, { resumeToken: first.got.at(-1)?.resumeToken ?? '' });
      await until(second, `KEY ${between.id}`);
      expect(told(second)).toEqual(['position', `KEY ${between.id}`]);
    });

    test('beats about once a second', async () => {
      const stream = await watch();
      await beat(stream);
      const began = performance.now();
      await beat(stream);
      await beat(stream);
      expect(performance.now() - began).toBeGreaterThan(1000);
      expect(performance.now() - began).toBeLessThan(5000);
    });

    test.each([
      ['revoked', 16, 'CREDENTIALS_INVALID', (id: string) => root('KeyService/RevokeKey', { id })],
      [
        'disabled',
        16,
        'CREDENTIALS_INVALID',
        (id: string) => root('KeyService/UpdateKey', { key: { id, disabled: true }, updateMask: 'disabled' }),
      ],
      [
        'narrowed to other keyspaces',
        7,
        'PERMISSION_MISSING',
        (id: string) =>
          root('KeyService/UpdateKey', {
            key: { id, permissions: ['tokens:verify@elsewhere'] },
            updateMask: 'permissions',
          }),
      ],
      [
        'limited to other addresses',
        7,
        'ADDRESS_NOT_ALLOWED',
        (id: string) =>
          root('KeyService/UpdateKey', {
            key: { id, allowedCidrs: ['192.0.2.0/24'] },
            updateMask: 'allowedCidrs',
          }),
      ],
    ] as const)('ends as soon as its caller is %s', async (_what, code, reason, change) => {
      const caller = await make('gatehouse', { permissions: ['tokens:verify'] });
      const stream = await watch(gatehouse, {}, caller.secret);
      expect((await change(caller.id)).status).toBe(200);
      expect(await stream.ended).toEqual({ code, reason });
    });

    test('ends when its caller expires', async () => {
      const caller = await make('gatehouse', { permissions: ['tokens:verify'], ttl: '1.500s' });
      const stream = await watch(gatehouse, {}, caller.secret);
      expect(await stream.ended).toEqual({ code: 16, reason: 'CREDENTIALS_INVALID' });
    });

    test('is refused to callers without tokens:verify, for keyspaces beyond it, and with a token that was made up', async () => {
      const narrow = await make('gatehouse', { permissions: ['tokens:verify@default'] });
      const reader = await make('gatehouse', { permissions: ['keys:read'] });
      const own = await make('default', { permissions: ['*'] });
      const refusal = (key: string | undefined, request: object) =>
        openStream(gatehouse.grpc, watchRevocations, request, key).ended;
      expect(await refusal(undefined, {})).toEqual({ code: 16, reason: 'CREDENTIALS_MISSING' });
      for (const { secret } of [reader, own])
        expect(await refusal(secret, {})).toEqual({ code: 7, reason: 'PERMISSION_MISSING' });
      expect(await refusal(narrow.secret, { keyspaces: ['gatehouse'] })).toEqual({
        code: 5,
        reason: 'NOT_FOUND',
      });
      expect(await refusal(narrow.secret, { resumeToken: 'x.y' })).toEqual({
        code: 3,
        reason: 'INVALID_FIELD',
      });
    });

    test('is there on the HTTP port as well, in JSON', async () => {
      const { id } = await make('default');
      const message = Buffer.from('{"keyspaces":["default"]}');
      const head = Buffer.from([0, 0, 0, 0, message.length]);
      const response = await fetch(`${gatehouse.http}/gatehouse.v1.AuthService/WatchRevocations`, {
        method: 'POST',
        headers: { 'content-type': 'application/connect+json', authorization: `Bearer ${gatehouse.rootKey}` },
        body: Buffer.concat([head, message]),
      });
      let text = '';
      for await (const chunk of response.body ?? []) {
        if (text === '') await root('KeyService/RevokeKey', { id });
        text += Buffer.from(chunk).toString();
        if (text.includes(id)) break;
      }
      expect(text).toContain('"position"');
      expect(text).toMatch(new RegExp(`"scope":"REVOCATION_SCOPE_KEY","id":"${id}","keyspace":"default"`));
    });
  });

if (watchable)
  describe('a service that stops', () => {
    test('ends its streams with UNAVAILABLE; after it none is resumed that another life began', async () => {
      const first = await start();
      onTestFinished(() => first.remove());
      const stream = await watch(first);
      const [{ resumeToken = '' } = {}] = stream.got;
      expect(await first.stop()).toBe(0);
      expect(await stream.ended).toEqual({ code: 14, reason: 'STOPPING' });
      const second = await start({ folder: first.folder });
      onTestFinished(async () => {
        await second.stop('SIGKILL');
      });
      const again = await watch(second, { resumeToken });
      await beat(again);
      // What all replicas share in Redis goes on.
      expect(told(again)).toEqual(overMongo ? ['position'] : ['cannotResume', 'position']);
    });
  });

if (!overMongo)
  test('open access is no access to changes', async () => {
    const open = await startGatehouse({ env: { GATEHOUSE_VERIFY_ACCESS: 'open' } });
    onTestFinished(() => open.remove());
    const { ended } = openStream(open.grpc, watchRevocations, {});
    expect(await ended).toEqual({ code: 16, reason: 'CREDENTIALS_MISSING' });
  });

if (overMongo)
  test('over MongoDB without Redis changes cannot be watched, and the refusal says why', async () => {
    const blind = await startGatehouse();
    onTestFinished(() => blind.remove());
    const { ended } = openStream(blind.grpc, watchRevocations, {}, blind.rootKey);
    expect(await ended).toEqual({ code: 9, reason: 'NO_CHANGE_LOG' });
  });

describe.skipIf(REDIS === '')('over Redis', () => {
  test('no stream beats or begins while it is away, and each says that it may have missed something', async () => {
    const server = await startRedis();
    onTestFinished(() => server.remove());
    const replica = await startGatehouse({ env: { REDIS_URL: server.url() } });
    onTestFinished(() => replica.remove());
    const stream = await watch(replica);
    await beat(stream);
    await server.kill();
    await after(1500);
    const seen = stream.got.length;
    await after(2500);
    expect(stream.got.length).toBe(seen);
    const { ended } = openStream(replica.grpc, watchRevocations, {}, replica.rootKey);
    expect(await ended).toEqual({ code: 14, reason: 'CHANGES_UNSEEN' });

    await server.start();
    await until(stream, 'position', 2);
    expect(told(stream)).toEqual(['position', 'cannotResume', 'position']);
    await beat(stream);
    const resumed = await watch(replica, { resumeToken: stream.got[0]?.resumeToken ?? '' });
    await beat(resumed);
    expect(told(resumed)).toEqual(['cannotResume', 'position']);
  });

  if (overMongo)
    test('a stream at one replica tells of changes by another, and is resumed at that one', async () => {
      const other = await start({ folder: gatehouse.folder });
      onTestFinished(async () => {
        await other.stop('SIGKILL');
      });
      const { id } = await make('default');
      const stream = await watch(other);
      await root('KeyService/RevokeKey', { id });
      await until(stream, `KEY ${id}`);
      const resumed = await watch(gatehouse, { resumeToken: stream.got[0]?.resumeToken ?? '' });
      await until(resumed, `KEY ${id}`);
      expect(told(resumed)).toEqual(['position', `KEY ${id}`]);
    });
});
