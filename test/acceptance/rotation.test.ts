/** Rotation with the real service: over gRPC and JSON, and under load. */

import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGrpcClient } from '../../src/client/grpc.ts';
import { KeyService } from '../../src/gen/gatehouse/v1/key_service_pb.js';
import {
  callJson,
  type Gatehouse,
  type JsonAnswer,
  overMongo,
  startGatehouse,
} from '../support/gatehouse.ts';

let gatehouse: Gatehouse;
beforeAll(async () => {
  gatehouse = await startGatehouse();
});
afterAll(() => gatehouse?.remove());

const call = (method: string, body: unknown) => callJson(gatehouse, method, body, { key: gatehouse.rootKey });
const reasonOf = ({ body }: JsonAnswer) =>
  body.details.find((detail: { type: string }) => detail.type.endsWith('ErrorInfo'))?.debug.reason;

async function make(fields: object = {}) {
  const { body } = await call('KeyService/CreateKey', { keyspace: 'default', name: 'x', ...fields });
  return { id: body.key.id as string, secret: body.secret as string, key: body.key };
}

const rotate = (id: string, more: object = {}) => call('KeyService/RotateKey', { id, ...more });
const get = async (id: string) => (await call('KeyService/GetKey', { id })).body.key;
/** The status, and which of the key's secrets it was. */
async function verify(token: string): Promise<string> {
  const { body } = await call('AuthService/Verify', { token });
  return `${body.status} ${body.principal?.secretGeneration ?? ''}`.trim();
}
const CURRENT = 'VERIFY_STATUS_VALID SECRET_GENERATION_CURRENT';
const PREVIOUS = 'VERIFY_STATUS_VALID SECRET_GENERATION_PREVIOUS';
const DEAD = 'VERIFY_STATUS_NOT_FOUND';

describe('a rotated key', () => {
  test('has its id, expiry and all else as before, and a new secret that is shown once', async () => {
    const made = await make({
      owner: { kind: 'user', id: '1' },
      permissions: ['docs:*'],
      metadata: { plan: 'pro' },
      ttl: '3600s',
    });
    const { status, body } = await rotate(made.id);
    expect(status).toBe(200);
    // Over MongoDB without Redis no replica has records in memory.
    const replicas = overMongo ? 0 : 1;
    expect(body).toMatchObject({ replayed: false, propagation: { replicas, acknowledged: replicas } });
    expect(body.secret).toMatch(/^gate_[0-9A-Za-z]{38}$/);
    const { displayPrefix, updateTime } = body.key;
    expect(body.key).toEqual({ ...made.key, displayPrefix, updateTime, revision: '2' });
    expect(body.secret.startsWith(displayPrefix)).toBe(true);
    expect(body.key.previousSecret).toBeUndefined();
    expect(await verify(body.secret)).toBe(CURRENT);
    expect(await verify(made.secret)).toBe(DEAD);
  });

  test('shows its previous secret, when it was last used and until when it works, and the principal says which was used', async () => {
    const { id, secret } = await make();
    const { body } = await rotate(id, { overlap: '3600s' });
    const { updateTime, previousSecret } = body.key;
    // The two moments of one change are read one after the other.
    const overlap = Date.parse(previousSecret.expireTime) - Date.parse(updateTime);
    expect(Math.abs(overlap - 3_600_000)).toBeLessThan(1000);
    expect(previousSecret.lastUsedTime).toBeUndefined();
    expect(await verify(body.secret)).toBe(CURRENT);
    expect((await get(id)).previousSecret.lastUsedTime).toBeUndefined();
    expect(await verify(secret)).toBe(PREVIOUS);
    await expect
      .poll(async () => (await get(id)).previousSecret.lastUsedTime, { timeout: 5000 })
      .toBeDefined();
    const listed = (await call('KeyService/ListKeys', { displayPrefix: body.key.displayPrefix })).body.keys;
    expect(listed).toEqual([await get(id)]);
  });

  test('may have its overlap cut short, ended, and never made longer', async () => {
    const { id, secret } = await make();
    const { expireTime } = (await rotate(id, { overlap: '3600s' })).body.key.previousSecret;
    const until = (previousSecret?: object) =>
      call('KeyService/UpdateKey', { key: { id, previousSecret }, updateMask: 'previousSecret' });
    const longer = await until({ expireTime: new Date(Date.parse(expireTime) + 1).toISOString() });
    expect([longer.status, longer.body.code]).toEqual([400, 'invalid_argument']);
    const sooner = new Date(Date.now() + 60_000).toISOString();
    const { body } = await until({ expireTime: sooner });
    expect(body.key.previousSecret.expireTime).toBe(sooner);
    expect(await verify(secret)).toBe(PREVIOUS);
    expect((await until()).body.key.previousSecret).toBeUndefined();
    expect(await verify(secret)).toBe(DEAD);
    expect(reasonOf(await until({ expireTime: sooner }))).toBe('NO_PREVIOUS_SECRET');
    // Ending what has ended is done already.
    expect((await until()).status).toBe(200);
  });

  test('accepts the older of two previous secrets no more', async () => {
    const { id, secret } = await make();
    const second = (await rotate(id, { overlap: '3600s' })).body.secret;
    const third = (await rotate(id, { overlap: '3600s' })).body.secret;
    expect(await Promise.all([secret, second, third].map(verify))).toEqual([DEAD, PREVIOUS, CURRENT]);
  });

  test('has no overlap beyond its own end', async () => {
    const { id, key } = await make({ ttl: '60s' });
    const { body } = await rotate(id, { overlap: '3600s' });
    expect([body.key.expireTime, body.key.previousSecret.expireTime]).toEqual([
      key.expireTime,
      key.expireTime,
    ]);
  });

  test('that is revoked has no previous secret: neither works any more', async () => {
    const { id, secret } = await make();
    await rotate(id, { overlap: '3600s' });
    expect((await call('KeyService/RevokeKey', { id })).body.key.previousSecret).toBeUndefined();
    expect((await verify(secret)).split(' ')[0]).toBe('VERIFY_STATUS_REVOKED');
  });

  test('that is disabled stays so under its new secret', async () => {
    const { id } = await make();
    await call('KeyService/UpdateKey', { key: { id, disabled: true }, updateMask: 'disabled' });
    const { body } = await rotate(id);
    expect(body.key.state).toBe('KEY_STATE_DISABLED');
    expect((await verify(body.secret)).split(' ')[0]).toBe('VERIFY_STATUS_DISABLED');
  });

  test('is rotated at the revision that was expected, or not at all', async () => {
    const { id, secret } = await make();
    const moved = await rotate(id, { expectedRevision: '2' });
    expect([moved.status, reasonOf(moved)]).toEqual([409, 'REVISION_MISMATCH']);
    expect(await verify(secret)).toBe(CURRENT);
    expect((await rotate(id, { expectedRevision: '1' })).body.key.revision).toBe('2');
  });

  test.each([
    ['revoked', 'KEY_REVOKED'],
    ['expired', 'KEY_EXPIRED'],
  ])('that is %s is not rotated', async (how, reason) => {
    const { id, secret } = await make(how === 'expired' ? { ttl: '1s' } : {});
    if (how === 'revoked') await call('KeyService/RevokeKey', { id });
    await expect.poll(() => verify(secret), { timeout: 5000 }).not.toBe(CURRENT);
    const answer = await rotate(id);
    expect([answer.status, answer.body.code, reasonOf(answer)]).toEqual([400, 'failed_precondition', reason]);
    expect((await get(id)).revision).toBe(how === 'revoked' ? '2' : '1');
  });

  test('of several rotations at once one wins, and the others are told to look again', async () => {
    const { id, secret } = await make();
    const answers = await Promise.all(Array.from({ length: 8 }, () => rotate(id, { overlap: '60s' })));
    const won = answers.filter(({ status }) => status === 200);
    for (const answer of answers)
      if (answer.status !== 200) expect(reasonOf(answer)).toBe('REVISION_MISMATCH');
    // Those that came after another one was done have replaced its secret in turn.
    expect(won.length).toBeGreaterThan(0);
    expect((await get(id)).revision).toBe(String(1 + won.length));
    const ages = await Promise.all(won.map(({ body }) => verify(body.secret)));
    expect(ages.filter((age) => age === CURRENT)).toHaveLength(1);
    expect([PREVIOUS, DEAD]).toContain(await verify(secret));
  });
});

describe('over both ports', () => {
  test('a request_id is one and the same: created and rotated by gRPC, replayed by JSON, and the other way', async () => {
    const keys = createGrpcClient(KeyService, gatehouse.grpc, { token: gatehouse.rootKey });
    const made = await keys.createKey({ keyspace: 'default', name: 'once', requestId: 'both-1' });
    const again = (
      await call('KeyService/CreateKey', { keyspace: 'default', name: 'once', requestId: 'both-1' })
    ).body;
    expect([again.replayed, again.secret, again.key.id]).toEqual([true, '', made.key?.id]);

    const { id } = again.key;
    const rotated = (await rotate(id, { overlap: '60s', requestId: 'both-1' })).body;
    const replay = await keys.rotateKey({ id, overlap: { seconds: 60n }, requestId: 'both-1' });
    expect([replay.replayed, replay.secret, replay.key?.revision]).toEqual([true, '', 2n]);
    expect(await verify(rotated.secret)).toBe(CURRENT);
    expect(await verify(made.secret)).toBe(PREVIOUS);

    const both = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        index % 2 === 0
          ? keys.rotateKey({ id, requestId: 'both-2' })
          : rotate(id, { requestId: 'both-2' }).then(({ body }) => body),
      ),
    );
    expect(both.filter(({ secret }) => secret !== '')).toHaveLength(1);
    expect(both.map(({ key }) => String(key?.revision))).toEqual(both.map(() => '3'));
    keys.close();
  });

  test('with other content under the same request_id is refused', async () => {
    const { id } = await make();
    await rotate(id, { requestId: 'other' });
    await call('KeyService/CreateKey', { keyspace: 'default', name: 'x', requestId: 'other' });
    const refused = [
      await rotate(id, { requestId: 'other', overlap: '1s' }),
      await rotate((await make()).id, { requestId: 'other' }),
      await call('KeyService/CreateKey', { keyspace: 'default', name: 'y', requestId: 'other' }),
    ];
    for (const answer of refused) {
      expect([answer.status, answer.body.code, reasonOf(answer)]).toEqual([
        409,
        'already_exists',
        'REQUEST_ID_REUSED',
      ]);
    }
  });

  const grpcurl = process.env.GATEHOUSE_TEST_GRPCURL ?? '';
  test.skipIf(grpcurl === '')(
    'grpcurl rotates a key, cuts its overlap short and turns its secret in',
    async () => {
      const run = (method: string, body: object) =>
        JSON.parse(
          execFileSync(
            grpcurl,
            [
              '-plaintext',
              '-H',
              `authorization: Bearer ${gatehouse.rootKey}`,
              '-d',
              JSON.stringify(body),
              gatehouse.grpc,
              `gatehouse.v1.${method}`,
            ],
            { encoding: 'utf8' },
          ),
        );
      const { id, secret } = await make();
      const rotated = run('KeyService/RotateKey', { id, overlap: '3600s', expected_revision: 1 });
      expect(rotated.key.previousSecret.expireTime).toBeDefined();
      expect(await verify(secret)).toBe(PREVIOUS);
      run('KeyService/UpdateKey', { key: { id }, update_mask: { paths: ['previous_secret'] } });
      expect(await verify(secret)).toBe(DEAD);
      const { key } = run('KeyService/RevokeKey', { secret: rotated.secret, include_descendants: true });
      expect([key.id, key.state]).toEqual([id, 'KEY_STATE_REVOKED']);
    },
  );
});

if (overMongo)
  test('of two processes over one database one rotates, and the other one knows at once', async () => {
    const other = await startGatehouse({ folder: gatehouse.folder });
    try {
      const ask = async (by: Gatehouse, method: string, body: unknown) =>
        (await callJson(by, method, body, { key: gatehouse.rootKey })).body;
      for (let round = 0; round < 10; round++) {
        const requestId = `processes-${round}`;
        const creation = { keyspace: 'default', name: requestId, requestId };
        const both = (method: string, body: object) =>
          Promise.all([gatehouse, other, gatehouse, other].map((by) => ask(by, method, body)));
        const made = await both('KeyService/CreateKey', creation);
        const [created, ...more] = made.filter(({ secret }) => secret !== '');
        expect([more.length, new Set(made.map(({ key }) => key.id)).size]).toEqual([0, 1]);

        const rotated = await both('KeyService/RotateKey', { id: created.key.id, requestId });
        expect(rotated.filter(({ secret }) => secret !== '')).toHaveLength(1);
        expect(rotated.map(({ key }) => key.revision)).toEqual(['2', '2', '2', '2']);
        for (const by of [gatehouse, other]) {
          expect((await ask(by, 'AuthService/Verify', { token: created.secret })).valid).toBe(false);
        }
      }
    } finally {
      await other.stop();
    }
  });

describe('under load', () => {
  const KEYS = 6;
  const CLIENTS_PER_KEY = 2;
  const OVERLAP_MS = 2000;
  const ROUNDS = 3;
  /** Within so long of hearing of it each client has the new secret; the old one has the rest of the overlap. */
  const SWITCH_MS = 700;

  test('no verify fails for clients that switch within the overlap, none of the old secret succeeds after it, and no expiry moves', async () => {
    const keys = await Promise.all(
      Array.from({ length: KEYS }, async () => ({
        ...(await make({ ttl: '3600s' })),
        retired: [] as string[],
      })),
    );
    let running = true;
    const failed: { readonly secret: string; readonly at: number; readonly answer: string }[] = [];
    /** Until when each replaced secret works. */
    const ends = new Map<string, number>();
    const revived: string[] = [];
    const counts = { good: 0, old: 0 };
    const clients = keys.flatMap((key) =>
      Array.from({ length: CLIENTS_PER_KEY }, async () => {
        let mine = key.secret;
        let switchAt = 0;
        while (running) {
          if (mine !== key.secret) {
            switchAt ||= performance.now() + Math.random() * SWITCH_MS;
            if (performance.now() >= switchAt) [mine, switchAt] = [key.secret, 0];
          }
          const answer = await verify(mine);
          counts.good++;
          if (!answer.startsWith('VERIFY_STATUS_VALID'))
            failed.push({ secret: mine, at: Date.now(), answer });
        }
      }),
    );
    const watchers = keys.map(async (key) => {
      while (running) {
        for (const old of key.retired.slice(-3)) {
          counts.old++;
          const answer = await verify(old);
          if (answer !== DEAD) revived.push(answer);
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    });
    try {
      for (let round = 0; round < ROUNDS; round++) {
        const rotations = await Promise.all(
          keys.map(async (key) => {
            const old = key.secret;
            const { body } = await rotate(key.id, { overlap: `${OVERLAP_MS / 1000}s` });
            key.secret = body.secret;
            const end = Date.parse(body.key.previousSecret.expireTime);
            ends.set(old, end);
            return { key, old, end };
          }),
        );
        await Promise.all(
          rotations.map(async ({ key, old, end }) => {
            await new Promise((resolve) => setTimeout(resolve, end + 1 - Date.now()));
            key.retired.push(old);
          }),
        );
      }
    } finally {
      running = false;
      await Promise.all([...clients, ...watchers]);
    }
    // On a machine that is too busy a client may be late by itself, so an answer counts if it came within the overlap.
    expect(failed.filter(({ secret, at }) => at < (ends.get(secret) ?? Number.POSITIVE_INFINITY))).toEqual(
      [],
    );
    expect(failed.length).toBeLessThan(counts.good / 10);
    expect(revived).toEqual([]);
    expect(counts.good).toBeGreaterThan(200);
    expect(counts.old).toBeGreaterThan(20);
    for (const { id, key } of keys) {
      const now = await get(id);
      expect([now.expireTime, now.revision]).toEqual([key.expireTime, String(1 + ROUNDS)]);
    }
  });
});
