/** Uses that several processes count: each VALID answer once, whatever the store and the processes went through. */

import { describe, expect, test } from 'vitest';
import { VerifyStatus } from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { type Gatehouse, ROOT_KEY } from '../support/gatehouse.ts';
import { MONGOD } from '../support/mongodb.ts';
import { answered, type Client, figures, outcomeOf, tally, until, useServer } from './processes.ts';
import { startProxy } from './proxy.ts';

const PROCESSES = 2;
const KEYS = 3;
/** Verifies on each process at once, and in all. */
const LANES = 4;
const VERIFIES = 300;
const OUTAGES = 2;
/** Each way, on each process: long enough for batches to be under way. */
const REFUSED = 10;
const ANSWERED = 30;
const FIRST_USES = 100;

describe.skipIf(MONGOD === '')('uses that two processes count', () => {
  const rig = useServer();

  test('are exact after a stop of both', async () => {
    const { processes, clients, keys, countUses } = await setUp();
    const counted = new Counted(keys);
    await onEachLane(clients, async (client) => {
      for (let made = 0; made < VERIFIES / LANES; made++) await counted.verify(client, made);
    });
    await Promise.all(processes.map((one) => one.stop()));
    expect(counted.codes.OK).toBeGreaterThan((PROCESSES * VERIFIES) / 2);
    expect(await countUses()).toEqual(counted.valid);
  });

  test('are exact where the store was killed and started again meanwhile', async () => {
    const { processes, clients, keys, countUses } = await setUp();
    const counted = new Counted(keys);
    let running = true;
    rig.after(() => {
      running = false;
    });
    const work = onEachLane(clients, async (client) => {
      for (let made = 0; running; made++) await counted.verify(client, made);
    });
    const more = (code: string, count: number) => {
      const enough = (counted.codes[code] ?? 0) + count * PROCESSES;
      return until(`${count} answers ${code}`, 20_000, () => (counted.codes[code] ?? 0) >= enough);
    };
    for (let outage = 0; outage < OUTAGES; outage++) {
      await more('OK', ANSWERED);
      await rig.server.kill();
      await more('UNAVAILABLE', REFUSED);
      await rig.server.start();
    }
    await more('OK', ANSWERED);
    running = false;
    await work;
    const codes = await Promise.all(processes.map((one) => one.stop()));
    figures('uses over outages', { answers: counted.codes, valid: counted.valid });
    expect(codes).toEqual([0, 0]);
    expect(await countUses()).toEqual(counted.valid);
  }, 60_000);

  test('are exact where both count the first use of a key at once', async () => {
    const uri = rig.emptyDatabase();
    const stores = [await rig.open(uri), await rig.open(uri)];
    const ids = Array.from({ length: FIRST_USES }, (_, round) => `key_${round}`);
    for (const [batch, keyId] of ids.entries()) {
      const uses = [{ keyId, count: 1, lastUsedTime: 1 }];
      await Promise.all(stores.map((store, index) => store.addUsage(`process ${index}:${batch}`, uses)));
    }
    const usage = await stores[0]?.readUsage(ids);
    expect(ids.map((id) => usage?.get(id)?.count)).toEqual(ids.map(() => stores.length));
  });

  test('are exact where the first try of a batch comes through after its second one, and after the next batch', async () => {
    const proxy = await startProxy(rig.server);
    rig.after(() => proxy.close());
    const store = await rig.open(proxy.uri('late-batches'));
    const add = (batch: number) =>
      store.addUsage(`writer:${batch}`, [{ keyId: 'key', count: 1, lastUsedTime: batch }]);
    await add(1);
    const hold = proxy.hold((command) => command.update === 'usage' && hold.count === 0);
    await expect(add(2)).rejects.toMatchObject({ kind: 'unavailable' });
    await add(2);
    await add(3);
    await hold.release();
    expect((await store.readUsage(['key'])).get('key')).toEqual({ count: 3, lastUsedTime: 3 });
  });

  async function setUp() {
    const uri = rig.emptyDatabase();
    const processes = await rig.start(PROCESSES, uri, { GATEHOUSE_VERIFY_ACCESS: 'open' });
    const root = rig.client(processes[0] as Gatehouse, ROOT_KEY);
    const keys: { id: string; secret: string }[] = [];
    for (let index = 0; index < KEYS; index++) {
      const { key, secret } = await answered(() =>
        root.keys.createKey({ keyspace: 'default', name: `k${index}` }),
      );
      keys.push({ id: key?.id ?? '', secret });
    }
    const countUses = async () => {
      const usage = await (await rig.open(uri)).readUsage(keys.map(({ id }) => id));
      return keys.map(({ id }) => usage.get(id)?.count);
    };
    return { processes, clients: processes.map((one) => rig.client(one)), keys, countUses };
  }
});

/** What the clients were answered. */
class Counted {
  /** Answers VALID for each key. */
  readonly valid: number[];
  readonly #codes: string[] = [];
  readonly #keys: readonly { readonly secret: string }[];

  constructor(keys: readonly { readonly secret: string }[]) {
    this.#keys = keys;
    this.valid = keys.map(() => 0);
  }

  get codes(): Record<string, number> {
    return tally(this.#codes);
  }

  /** Verifies one of the keys. */
  async verify({ auth }: Client, turn: number): Promise<void> {
    const index = turn % this.#keys.length;
    const { code, answer } = await outcomeOf(() => auth.verify({ token: this.#keys[index]?.secret ?? '' }));
    this.#codes.push(code);
    if (code !== 'OK') return;
    expect(answer?.status).toBe(VerifyStatus.VALID);
    this.valid[index] = (this.valid[index] ?? 0) + 1;
  }
}

async function onEachLane(
  clients: readonly Client[],
  work: (client: Client) => Promise<void>,
): Promise<void> {
  const lanes = clients.flatMap((client) => Array.from({ length: LANES }, () => client));
  await Promise.all(lanes.map(work));
}
