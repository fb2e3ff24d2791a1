/** A process whose Redis cannot be asked when it starts: it may be that of the others, and may be another one. */

import { describe, expect, onTestFinished, test } from 'vitest';
import { type Coherence, seldom, startCoherence } from '../../src/coherence/coherence.ts';
import type { KeyStore } from '../../src/storage/key-store.ts';
import { openSqliteStore } from '../../src/storage/sqlite/open.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { REDIS, startRedis } from '../support/redis.ts';

const SIZES = { secrets: 1_000_000, keys: 1_000_000, owners: 1_000_000 };
const RECORDS = [{ name: 'key:1', keyspace: 'acx', revision: 2 }] as const;

async function server() {
  const redis = await startRedis();
  onTestFinished(() => redis.remove());
  return redis;
}

async function open(): Promise<KeyStore> {
  const store = await openSqliteStore(':memory:');
  onTestFinished(() => store.close());
  return store;
}

/** @param lines where it writes its log. */
async function start(store: KeyStore, redisUrl: string, lines: string[] = []): Promise<Coherence> {
  const log = createLog({ level: 'warn', destination: { write: (line) => void lines.push(line) } });
  const coherence = await startCoherence(
    store,
    { mongodbUri: undefined, redisUrl },
    SIZES,
    log,
    () => undefined,
  );
  onTestFinished(() => coherence.stop());
  return coherence;
}

const isHeld = ({ replica }: Coherence) => expect.poll(() => replica?.held, { timeout: 8000 });

test('errors that come in turn, with each try, are a line each in a minute', () => {
  const lines: string[] = [];
  const line = ({ err }: { err: Error }) => void lines.push(err.message);
  let now = 0;
  const tell = seldom({ warn: line, error: line } as unknown as Parameters<typeof seldom>[0], () => now);
  const storm = () => {
    for (let count = 0; count < 100; count++) {
      tell(new Error('timed out'));
      tell(new Error('refused'));
    }
  };
  storm();
  expect(lines).toEqual(['timed out', 'refused']);
  now = 60_000;
  storm();
  expect(lines).toHaveLength(4);
});

describe.skipIf(REDIS === '')('a start while Redis is away', () => {
  test('joins the others later, where it is theirs', async () => {
    const [store, redis] = [await open(), await server()];
    const first = await start(store, redis.url());
    await isHeld(first).toBe(true);
    await redis.kill();
    const second = await start(store, redis.url());
    expect(second.replica?.held).toBe(false);
    await redis.start();
    await isHeld(first).toBe(true);
    await isHeld(second).toBe(true);
    expect(await second.spread.confirm(RECORDS)).toMatchObject({ replicas: 2 });
  });

  test('joins nobody, begins nothing of its own and confirms nothing, where it is another one', async () => {
    const [store, redis, other] = [await open(), await server(), await server()];
    const first = await start(store, redis.url());
    await isHeld(first).toBe(true);
    await other.kill();
    const lines: string[] = [];
    const wrong = await start(store, other.url(), lines);
    await other.start();
    await expect
      .poll(() => lines.join(''), { timeout: 10_000 })
      .toContain('share another Redis, or none; restart this one');
    expect(wrong.replica?.held).toBe(false);
    expect(await other.command('KEYS', '*')).toEqual([]);
    await expect(wrong.spread.confirm(RECORDS)).rejects.toMatchObject({ reason: 'PROPAGATION_UNCONFIRMED' });
    await isHeld(first).toBe(true);
  });
});
