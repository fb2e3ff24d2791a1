/** A process that is killed at any moment of the first start leaves nothing that keeps the next one from starting. */

import { setTimeout } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { ROOT_KEY } from '../support/gatehouse.ts';
import { LONG } from '../support/long.ts';
import { MONGOD, withDatabase } from '../support/mongodb.ts';
import { checkStart, isRoot, printedRoot } from './first-start.ts';
import { beginStart } from './killable-start.ts';
import { figures, inLanes, useServer } from './processes.ts';
import { type Command, startProxy } from './proxy.ts';

const LANES = 2;
/** Milliseconds after the spawn. */
const MOMENTS = LONG ? [0, 125, 250, 375, 500, 625, 750] : [250];
const FIRST_ROOT_WRITE = 'insert secrets';
/** The first write after the root key is there. */
const ROOT_IS_THERE = 'insert events';

describe.skipIf(MONGOD === '')('a process killed -9 in its first start', () => {
  const rig = useServer();
  let writes: readonly string[];

  beforeAll(async () => {
    writes = await writesOfAStart();
  });

  test.each(MOMENTS)('%i ms after its spawn: the next start succeeds, with a root key', async (moment) => {
    const checks = ['', ROOT_KEY].map(async (rootKey) => {
      const uri = rig.emptyDatabase();
      const start = beginStart(uri, rootKey);
      await setTimeout(moment);
      const printed = printedRoot(await start.kill());
      // What lies between the two has a test of its own.
      const unseen = rootKey === '' && printed === undefined && (await countKeys(uri)) > 0;
      await checkNext(uri, unseen ? ROOT_KEY : rootKey, printed, unseen ? 2 : 1);
    });
    await Promise.all(checks);
  });

  test('before any of its writes: the next start succeeds, and prints a root key that works', async () => {
    const rootIsThere = writes.indexOf(ROOT_IS_THERE, writes.indexOf(FIRST_ROOT_WRITE));
    await inLanes(LANES, points(writes.slice(0, rootIsThere)), (point) => killBefore(point, '', ''));
  }, 120_000);

  test('before any write of the root key of the settings: the next start succeeds, and the key works', async () => {
    const from = writes.indexOf(FIRST_ROOT_WRITE);
    // No claim is made of a root that the settings name, so it has one write less before.
    const ofRoot = points(writes)
      .filter((point) => point >= from)
      .map((point) => point - 1);
    await inLanes(LANES, ofRoot, (point) => killBefore(point, ROOT_KEY, ROOT_KEY));
  }, 120_000);

  test('after its root key was stored, before it was printed: the settings can name another', async () => {
    const rootIsThere = writes.indexOf(ROOT_IS_THERE, writes.indexOf(FIRST_ROOT_WRITE));
    await killBefore(rootIsThere, '', ROOT_KEY, 2);
  });

  /** Kills a start as it is about to send a write, and starts another one. */
  async function killBefore(point: number, rootKey: string, nextRootKey: string, roots = 1): Promise<void> {
    const uri = rig.emptyDatabase();
    const proxy = await startProxy(rig.server);
    rig.after(() => proxy.close());
    let seen = 0;
    const hold = proxy.hold((command) => nameOfWrite(command) !== undefined && seen++ >= point);
    const start = beginStart(proxy.uri(new URL(uri).pathname.slice(1)), rootKey);
    await hold.first;
    expect(printedRoot(await start.kill())).toBeUndefined();
    await checkNext(uri, nextRootKey, undefined, roots);
  }

  /** @param printed what the start printed that was killed. */
  async function checkNext(
    uri: string,
    rootKey: string,
    printed: string | undefined,
    roots = 1,
  ): Promise<void> {
    const next = await rig.startOne(uri, { GATEHOUSE_ROOT_KEY: rootKey });
    const root = rootKey === '' ? (printed ?? printedRoot(next.output().stderr)) : rootKey;
    expect(await isRoot(next, root)).toBe(true);
    await checkStart(await rig.open(uri), roots);
    await next.stop('SIGKILL');
  }

  /** What a whole start writes, without a root key in the settings. */
  async function writesOfAStart(): Promise<string[]> {
    const proxy = await startProxy(rig.server);
    const seen: string[] = [];
    proxy.hold((command) => {
      const name = nameOfWrite(command);
      if (name !== undefined) seen.push(name);
      return false;
    });
    const whole = await rig.startOne(proxy.uri('a-whole-start'), { GATEHOUSE_ROOT_KEY: '' });
    await whole.remove();
    await proxy.close();
    figures('writes of a first start', { count: seen.length });
    return seen;
  }
});

/** `insert keys`; undefined for what writes nothing. */
function nameOfWrite(command: Command): string | undefined {
  const name = ['insert', 'update', 'delete', 'createIndexes'].find((one) => one in command);
  return name === undefined ? undefined : `${name} ${command[name]}`;
}

/** Where to kill: before each write, or, to save time, only before the last one of each name. */
function points(writes: readonly string[]): number[] {
  const all = writes.map((_, point) => point);
  return LONG ? all : all.filter((point) => writes.lastIndexOf(writes[point] ?? '') === point);
}

async function countKeys(uri: string): Promise<number> {
  return withDatabase(uri, (database) => database.collection('keys').countDocuments());
}
