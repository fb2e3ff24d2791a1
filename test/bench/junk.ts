/**
 * What a flood of made-up keys does to the memory of a replica: how much it grows, and how many good keys it pushes out. In
 * process, over the embedded store:
 *
 *     npm run bench:junk -- 10000000
 */

import { CachedKeyStore } from '../../src/storage/cache/memory.ts';
import { ALONE } from '../../src/storage/cache/shared.ts';
import { openSqliteStore } from '../../src/storage/sqlite/open.ts';
import { sampleKey, sampleSecret } from '../conformance/samples.ts';

const GOOD = 10_000;
const ROUND = 100_000;
const MIB = 1024 * 1024;

const total = Number(process.argv[2] ?? 10_000_000);
const store = await openSqliteStore(':memory:');
const cached = new CachedKeyStore(store, {
  sizes: { secrets: 20_000_000, keys: 60_000_000, owners: 10_000_000 },
  lease: ALONE,
});
const lookups: string[] = [];
for (let made = 0; made < GOOD; made++) {
  const key = sampleKey();
  const secret = sampleSecret(key);
  await store.insertKey(key, secret);
  lookups.push(secret.lookup);
}

/** Reads each good key once. @returns the share of the reads that memory answered. */
async function readGood(): Promise<number> {
  const before = cached.secrets.hits;
  for (const lookup of lookups) await cached.findSecret('acx', lookup);
  return (cached.secrets.hits - before) / GOOD;
}

function heap(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / MIB;
}

await readGood();
const [hitsBefore, heapBefore] = [await readGood(), heap()];
const begun = performance.now();
let highest = heapBefore;
for (let asked = 0; asked < total; asked += ROUND) {
  for (let one = 0; one < ROUND; one++)
    await cached.findSecret('acx', `junk ${Math.random()} ${asked + one}`);
  highest = Math.max(highest, heap());
}
const seconds = (performance.now() - begun) / 1000;
const hitsAfter = await readGood();
console.info(`made-up keys asked for         ${total.toLocaleString('en')} in ${seconds.toFixed(0)} s`);
console.info(`memory beside the good keys    + ${(highest - heapBefore).toFixed(1)} MiB (goal: 32)`);
console.info(
  `good keys answered from memory ${(100 * hitsBefore).toFixed(1)} % before, ${(100 * hitsAfter).toFixed(1)} % after (goal: 1 point less at most)`,
);
await cached.close();
