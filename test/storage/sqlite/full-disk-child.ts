/**
 * Works through commands on its standard input, one on a line, and says on a line what came of each:
 * `fill` writes until not even a ping finds room, `add` adds a key, `read` reads the first one, `count` counts,
 * `ping` pings.
 */

import { createInterface } from 'node:readline';
import { Failure } from '../../../src/domain/failure.ts';
import { openSqliteStore } from '../../../src/storage/sqlite/open.ts';
import { sampleKey, sampleSecret, storeKey, T0 } from '../../conformance/samples.ts';

const [path = ''] = process.argv.slice(2);
const store = await openSqliteStore(path);
const first = await storeKey(store);
let acknowledged = 1;

async function add(): Promise<string> {
  const key = sampleKey({ metadata: { padding: 'x'.repeat(5000) } });
  if (!(await store.insertKey(key, sampleSecret(key)))) throw new Error('a fresh key was refused');
  acknowledged += 1;
  return 'added';
}

async function succeeds(write: () => Promise<unknown>): Promise<boolean> {
  return await write().then(
    () => true,
    () => false,
  );
}

const COMMANDS: Readonly<Record<string, () => Promise<string>>> = {
  add,
  async fill() {
    while (await succeeds(add));
    while (await succeeds(() => store.ping()));
    return 'full';
  },
  async read() {
    return (await store.getKey(first.id)) === undefined ? 'nothing' : 'found';
  },
  async count() {
    const { total } = await store.countKeys({}, T0);
    return total === acknowledged ? 'as acknowledged' : `${total} of ${acknowledged}`;
  },
  async ping() {
    await store.ping();
    return 'pong';
  },
};

console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const begun = performance.now();
  try {
    console.log(await COMMANDS[line]?.());
  } catch (error) {
    const kind = error instanceof Failure ? error.kind : String(error);
    console.log(performance.now() - begun > 1000 ? 'too late' : kind);
  }
}
