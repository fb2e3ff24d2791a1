/** The feed of changes: none is missed unnoticed, whoever follows it and however slowly. */

import { setTimeout as after } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Change, ChangeFeed } from '../../src/coherence/feed.ts';
import { Replica } from '../../src/coherence/replica.ts';
import { RedisLink } from '../../src/storage/redis/link.ts';
import { REDIS, startRedis } from '../support/redis.ts';

const NEVER = new AbortController().signal;

function changes(count: number, first = 1): Change[] {
  return Array.from({ length: count }, (_, index) => ({
    record: `key:${first + index}`,
    keyspace: 'acx',
    revision: 2,
    time: 0,
  }));
}

function feedAt(epoch = 'e', number = 0): ChangeFeed {
  const feed = new ChangeFeed(() => true);
  feed.restart({ epoch, number });
  return feed;
}

describe('a follower', () => {
  test('is given what came behind its place, in order and in pages', () => {
    const feed = feedAt('e', 7);
    const start = feed.position;
    feed.append(changes(5));
    expect(feed.after(start, 9)).toEqual(changes(5));
    expect(feed.after(start, 2)).toEqual(changes(2));
    expect(feed.after({ epoch: 'e', number: 9 }, 2)).toEqual(changes(2, 3));
    expect(feed.position).toEqual({ epoch: 'e', number: 12 });
    expect(feed.after(feed.position, 9)).toEqual([]);
  });

  test('is told that some are gone where they are too many, and has at least the last 10,000', () => {
    const feed = feedAt();
    for (let round = 0; round < 25; round++) feed.append(changes(1000, 1 + 1000 * round));
    expect(feed.after({ epoch: 'e', number: 15_000 }, 10_001)).toEqual(changes(10_000, 15_001));
    expect(feed.after({ epoch: 'e', number: 0 }, 1)).toBeUndefined();
  });

  test('is told so in another life of the log, and behind a gap', () => {
    const feed = feedAt();
    feed.append(changes(3));
    const [old, last] = [{ epoch: 'e', number: 2 }, feed.position];
    feed.restart({ epoch: 'e', number: 50 });
    for (const place of [old, last]) expect(feed.after(place, 1)).toBeUndefined();
    expect(feed.after(feed.position, 1)).toEqual([]);
    feed.restart({ epoch: 'f', number: 50 });
    expect(feed.after({ epoch: 'e', number: 50 }, 1)).toBeUndefined();
  });

  test('is given none from a place that others have reached first', () => {
    const feed = feedAt();
    feed.append(changes(3));
    expect(feed.after({ epoch: 'e', number: 5 }, 9)).toEqual([]);
  });

  test('wakes for a change, for a restart, in time and at the end, and at once where it is behind', async () => {
    const feed = feedAt();
    const long = 60_000;
    const start = feed.position;
    const woken = [feed.moved(start, long, NEVER), feed.moved(start, long, NEVER)];
    feed.append(changes(1));
    await Promise.all(woken);
    await feed.moved(start, long, NEVER);
    const again = feed.moved(feed.position, long, NEVER);
    feed.restart({ epoch: 'f', number: 0 });
    await again;
    await feed.moved(feed.position, 1, NEVER);
    const end = new AbortController();
    const ended = feed.moved(feed.position, long, end.signal);
    end.abort();
    await ended;
    await feed.moved(feed.position, long, end.signal);
  });
});

describe('followers that are many', () => {
  test('are woken together, not for each change: the next time 25 ms later, with all that came meanwhile', async () => {
    const feed = feedAt();
    const long = 60_000;
    const start = feed.position;
    const first = feed.moved(start, long, NEVER);
    feed.append(changes(1));
    await first;
    const [woken, one] = [performance.now(), feed.position];
    const both = [feed.moved(one, long, NEVER), feed.moved(start, long, NEVER)];
    for (let made = 0; made < 5; made++) feed.append(changes(1, 2 + made));
    await Promise.all(both);
    expect(performance.now() - woken).toBeGreaterThan(15);
    expect(feed.after(one, 9)).toEqual(changes(5, 2));
  });

  test.each([
    ['have little to tell', 200, 1, 17],
    ['have much to tell', 20, 1000, 1],
  ])('and %s leave the event loop to others in between', async (_name, count, changed, atOnce) => {
    const feed = feedAt();
    let woken = 0;
    const all = Array.from({ length: count }, () =>
      feed.moved(feed.position, 60_000, NEVER).then(() => woken++),
    );
    feed.append(changes(changed));
    /** How many were woken in each turn. */
    const turns: number[] = [];
    for (let before = 0; woken < count; before = woken) {
      await new Promise(setImmediate);
      turns.push(woken - before);
    }
    await Promise.all(all);
    expect(Math.max(...turns)).toBeLessThanOrEqual(atOnce);
  });

  test('are left alone where they are at the end, and woken for what came while others were', async () => {
    const feed = feedAt();
    const begun = feed.position;
    feed.append(changes(1));
    let idle = true;
    const atTheEnd = feed.moved(feed.position, 60_000, NEVER).then(() => {
      idle = false;
    });
    await feed.moved(begun, 60_000, NEVER);
    expect(idle).toBe(true);
    feed.append(changes(1, 2));
    await atTheEnd;
  });
});

describe.skipIf(REDIS === '')('over a Redis', () => {
  test('every replica has the changes of all in one order, and each tells when the log is gone', async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.remove());
    const one = await follower(redis.url());
    const other = await follower(redis.url());
    const start = one.feed.position;
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        (index % 2 === 0 ? one : other).replica.tell([
          { name: `key:${index}`, keyspace: 'acx', revision: 2, ...(index === 7 ? { isMark: true } : {}) },
        ]),
      ),
    );
    while (one.feed.position.number < 20 || other.feed.position.number < 20) await after(5);
    expect(other.feed.position).toEqual(one.feed.position);
    const told = one.feed.after(start, 99);
    expect(told?.map(({ record }) => record).sort()).toEqual(
      Array.from({ length: 20 }, (_, index) => `key:${index}`).sort(),
    );
    expect(told?.filter(({ isMark }) => isMark)).toMatchObject([{ record: 'key:7' }]);
    expect(other.feed.after(start, 99)).toEqual(told);

    await redis.restartEmpty();
    while (one.feed.position.epoch === start.epoch || !one.feed.current) await after(5);
    expect(one.feed.after(start, 99)).toBeUndefined();
  });

  async function follower(url: string) {
    const link = new RedisLink(url, 'tests', () => {});
    const replica: Replica = new Replica({
      link,
      memory: { drop: () => {}, clear: () => {} },
      onEntries: (entries) => feed.append(entries),
      onMissed: () => feed.restart({ epoch: replica.epoch, number: replica.position }),
    });
    const feed = new ChangeFeed(() => replica.held);
    replica.start();
    onTestFinished(async () => {
      await replica.stop();
      await link.close();
    });
    while (!feed.current) await after(5);
    return { replica, feed };
  }
});
