/** Processes that start at the same moment on an empty database make what has to be there once. */

import { describe, expect, test } from 'vitest';
import { Changes } from '../../src/coherence/changes.ts';
import { Marking } from '../../src/coherence/marking.ts';
import { ensureKeyspaces, ensureRoot } from '../../src/keys/first-start.ts';
import type { Parts } from '../../src/keys/parts.ts';
import type { KeyStore } from '../../src/storage/key-store.ts';
import { Secrets } from '../../src/verification/secrets.ts';
import { UsageRecorder } from '../../src/verification/usage.ts';
import { Verifier } from '../../src/verification/verifier.ts';
import { ROOT_KEY } from '../support/gatehouse.ts';
import { LONG } from '../support/long.ts';
import { MONGOD } from '../support/mongodb.ts';
import { checkStart, isRoot, printedRoot } from './first-start.ts';
import { figures, useServer } from './processes.ts';
import { type Command, startProxy } from './proxy.ts';

const ROUNDS = LONG ? 5 : 1;
const CASES = [2, 4].flatMap((count) =>
  ['', ROOT_KEY].map((rootKey) => ({ count, rootKey, root: rootKey === '' ? 'no' : 'a' })),
);

describe.skipIf(MONGOD === '')('on an empty database', () => {
  const rig = useServer();

  test.each(CASES)(
    `$count processes that start at once with $root root key in the settings: all start, with one root`,
    async ({ count, rootKey }) => {
      const times: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const uri = rig.emptyDatabase();
        const from = performance.now();
        const processes = await rig.start(count, uri, { GATEHOUSE_ROOT_KEY: rootKey });
        times.push(Math.round(performance.now() - from));
        const printed = processes.map((one) => printedRoot(one.output().stderr)).filter(Boolean);
        expect(printed).toHaveLength(rootKey === '' ? 1 : 0);
        for (const one of processes) expect(await isRoot(one, printed[0] ?? rootKey)).toBe(true);
        await checkStart(await rig.open(uri), 1);
        await Promise.all(processes.map((one) => one.stop('SIGKILL')));
      }
      figures('first starts', { count, set: rootKey !== '', times });
    },
    120_000,
  );

  test('a process of whose start one write is not answered in time: it starts all the same', async () => {
    const proxy = await startProxy(rig.server);
    rig.after(() => proxy.close());
    for (const rootKey of ['', ROOT_KEY]) {
      for (const collection of ['keyspaces', 'keys']) {
        const hold = proxy.hold((command) => hold.count === 0 && command.insert === collection);
        const uri = proxy.uri(`unanswered-${collection}-${rootKey.slice(0, 3)}`);
        const one = await rig.startOne(uri, { GATEHOUSE_ROOT_KEY: rootKey });
        expect(hold.count).toBe(1);
        expect(await isRoot(one, printedRoot(one.output().stderr) ?? rootKey)).toBe(true);
        await one.stop('SIGKILL');
      }
    }
  }, 60_000);

  test('a process whose root key another one adds between its own two writes: both have it, once', async () => {
    const { slow, quick } = await overtaken(ROOT_KEY, (command) => command.insert === 'keys');
    expect(slow).toEqual({ generated: undefined, settingRevoked: false, live: 1 });
    expect(quick).toEqual(slow);
  });

  test('a process that another one is before in claiming the first root: it makes none', async () => {
    const claims = (command: Command) => JSON.stringify(command.updates ?? []).includes('firstRootClaim');
    const { slow, quick } = await overtaken(undefined, claims);
    expect(slow).toEqual({ generated: undefined, settingRevoked: false, live: 1 });
    expect(quick).toMatchObject({ generated: expect.stringMatching(/^ghm_/), live: 1 });
  });

  /** Two that see to the root key: one is held up at a command until the other is done. */
  async function overtaken(setting: string | undefined, at: (command: Command) => boolean) {
    const proxy = await startProxy(rig.server);
    rig.after(() => proxy.close());
    const database = `overtaken-${setting}`;
    const held = partsOver(await rig.open(proxy.uri(database)));
    const free = partsOver(await rig.open(rig.server.uri(database)));
    await ensureKeyspaces(free);
    const hold = proxy.hold((command) => hold.count === 0 && at(command));
    const first = ensureRoot(held, setting);
    await hold.first;
    const quick = await ensureRoot(free, setting);
    await hold.release();
    const slow = await first;
    await checkStart(await rig.open(rig.server.uri(database)), 1);
    return { slow, quick };
  }
});

/** What a start sees to the root key with. */
function partsOver(store: KeyStore): Parts {
  const fail = (error: unknown) => {
    throw error;
  };
  const now = Date.now;
  const usage = new UsageRecorder(store, fail);
  const secrets = new Secrets([]);
  const verifier = new Verifier({ cached: store, record: store, secrets, usage, now });
  const changes = new Changes(store, now, fail);
  const marking = new Marking({ store, changes, now, onError: fail });
  return { store, changes, marking, secrets, usage, verifier, now };
}
