/** kill -9 at any moment of creates and rotations with request_ids: repeated, each of them has acted exactly once. */

import { expect, test } from 'vitest';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';
import { LONG } from '../support/long.ts';

const KILLS = LONG ? 4 : 2;
const LANES = 12;
/** More writes than are done before the last kill. */
const WRITES = 4000;

/** A write that is sent again and again under one request_id. */
interface Write {
  readonly method: string;
  readonly body: object;
  /** Of the key that it rotates; a key that it makes has its request_id for a name. */
  readonly keyId: string | undefined;
  readonly requestId: string;
}

interface Answer {
  readonly key: { readonly id: string; readonly revision: string };
  readonly secret: string;
  readonly replayed: boolean;
}

const keysToRotate = (round: number) =>
  Array.from({ length: 100 }, (_, index) => `rotated-${round}-${index}`);

function creation(requestId: string): Write {
  const body = { keyspace: 'default', name: requestId, requestId };
  return { method: 'KeyService/CreateKey', body, keyId: undefined, requestId };
}

function rotation(id: string): Write {
  const requestId = `rotate-${id}`;
  const body = { id, overlap: '3600s', requestId };
  return { method: 'KeyService/RotateKey', body, keyId: id, requestId };
}

async function send(gatehouse: Gatehouse, { method, body }: Write): Promise<Answer> {
  const answer = await callJson(gatehouse, method, body, { key: gatehouse.rootKey });
  expect([answer.status, answer.body.code]).toEqual([200, undefined]);
  return answer.body;
}

/** Sends writes until the service is killed at a random moment. @returns those that were begun, with what they were told. */
async function writeUntilKilled(
  gatehouse: Gatehouse,
  writes: Iterable<Write>,
): Promise<ReadonlyMap<Write, Answer | undefined>> {
  const begun = new Map<Write, Answer | undefined>();
  const next = writes[Symbol.iterator]();
  let alive = true;
  const lane = async () => {
    for (let one = next.next(); alive && !one.done; one = next.next()) {
      begun.set(one.value, undefined);
      const answer = await send(gatehouse, one.value).catch((error: unknown) => {
        if (alive) throw error;
      });
      if (answer !== undefined) begun.set(one.value, answer);
    }
  };
  const lanes = Promise.all(Array.from({ length: LANES }, lane));
  await new Promise((resolve) => setTimeout(resolve, 100 + Math.random() * 300));
  alive = false;
  await gatehouse.stop('SIGKILL');
  await lanes;
  return begun;
}

test('each request_id has led to one key or one rotation, and what was acknowledged stands', async () => {
  let gatehouse = await startGatehouse();
  const call = async (method: string, body: unknown) =>
    (await callJson(gatehouse, method, body, { key: gatehouse.rootKey })).body;
  const unheard = { inAll: 0, done: 0 };
  try {
    for (let round = 0; round < KILLS; round++) {
      const made = await Promise.all(
        keysToRotate(round).map((name) => call('KeyService/CreateKey', { keyspace: 'default', name })),
      );
      const writes = Array.from({ length: WRITES }, (_, index) => {
        const key = index % 2 === 0 ? undefined : made[(index - 1) / 2]?.key;
        return key === undefined ? creation(`made-${round}-${index}-`) : rotation(key.id);
      });
      const begun = await writeUntilKilled(gatehouse, writes);
      gatehouse = await startGatehouse({ folder: gatehouse.folder });

      for (const [write, acknowledged] of begun) {
        const first = await send(gatehouse, write);
        if (acknowledged === undefined) {
          unheard.inAll++;
          if (first.replayed) unheard.done++;
        } else {
          expect([first.replayed, first.key.id], write.requestId).toEqual([true, acknowledged.key.id]);
        }
        expect(first.secret === '', write.requestId).toBe(first.replayed);
        expect(await send(gatehouse, write)).toMatchObject({
          replayed: true,
          secret: '',
          key: { id: first.key.id, revision: first.key.revision },
        });
        const { secret } = acknowledged ?? first;
        if (secret !== '') expect((await call('AuthService/Verify', { token: secret })).valid).toBe(true);
        if (write.keyId === undefined) {
          const filter = { nameContains: write.requestId, withTotals: true };
          expect(await call('KeyService/ListKeys', filter), write.requestId).toMatchObject({ totalSize: 1 });
        } else {
          // Made, and rotated once.
          expect([first.key.id, first.key.revision]).toEqual([write.keyId, '2']);
        }
      }
      // Of each kind some were begun.
      const rotations = [...begun.keys()].filter(({ keyId }) => keyId !== undefined).length;
      expect(Math.min(rotations, begun.size - rotations)).toBeGreaterThan(0);
    }
    // The kills have met calls under way; how many of those had been done is up to chance.
    expect(unheard.inAll).toBeGreaterThan(KILLS);
  } finally {
    await gatehouse.remove();
  }
}, 120_000);
