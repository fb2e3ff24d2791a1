/** Copies of records in Redis live no longer than is allowed now, whatever was allowed when they were made. */

import { randomUUID } from 'node:crypto';
import { setTimeout as after } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RecordName } from '../../../src/storage/cache/shared.ts';
import { RedisLink } from '../../../src/storage/redis/link.ts';
import { RedisSlots } from '../../../src/storage/redis/slots.ts';
import { REDIS, type RedisServer, startRedis } from '../../support/redis.ts';

describe.skipIf(REDIS === '')('a shared copy', () => {
  let redis: RedisServer;
  let link: RedisLink;
  let slots: RedisSlots;
  let epoch: string;
  beforeAll(async () => {
    redis = await startRedis();
    link = new RedisLink(redis.url(), 'tests', () => {});
    slots = new RedisSlots(link, 'secret', Date.now);
    while (!link.ready) await after(5);
    ({ epoch } = await link.sync({ id: 'a', epoch: '', applied: 0, syncs: 1 }, 'nonce'));
  });
  afterAll(async () => {
    await link.close();
    await redis.remove();
  });

  const read = (record: RecordName, maxAge: number, value: object | undefined) =>
    slots.read(
      epoch,
      record,
      () => maxAge,
      async () => value,
    );

  /** A record that was read once, and is in Redis by now. */
  async function filled(maxAge: number, value: object | undefined): Promise<RecordName> {
    const record: RecordName = `key:${randomUUID()}`;
    expect(await read(record, maxAge, value)).toEqual({ value, age: 0, shared: false });
    const slot = `gatehouse:{tests}:${epoch}:${record}`;
    while (!String(await redis.command('GET', slot)).startsWith('r')) await after(1);
    return record;
  }

  test('is as old as it is', async () => {
    const value = { text: 'a:b\n1:2:{}' };
    const record = await filled(60_000, value);
    await after(50);
    const found = await read(record, 60_000, undefined);
    expect(found).toMatchObject({ value, shared: true });
    expect(found.age).toBeGreaterThanOrEqual(50);
    expect(found.age).toBeLessThan(5000);
  });

  test('that was made when more was allowed is not used when it is older than is allowed now', async () => {
    const record = await filled(60_000, { version: 1 });
    await after(50);
    expect(await read(record, 40, { version: 2 })).toEqual({ value: { version: 2 }, age: 0, shared: false });
    expect(await read(record, 0, { version: 2 })).toMatchObject({ shared: false });
  });

  test('that was made when less was allowed is no older for that', async () => {
    const record = await filled(5000, { version: 1 });
    const found = await read(record, 3_600_000, { version: 2 });
    expect(found).toMatchObject({ value: { version: 1 }, shared: true });
    expect(found.age).toBeLessThan(5000);
  });
});
