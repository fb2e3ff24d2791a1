/**
 * `npm run soak`: ten minutes of faults and changes by chance over three replicas.
 *
 * GATEHOUSE_TEST_SECONDS: another length. GATEHOUSE_TEST_SEED: the choices of an earlier run. GATEHOUSE_TEST_OLDEST=1: on
 * Redis 6.2. GATEHOUSE_TEST_VERIFY=json|unary|stream: ask by this way alone.
 */

import { findTools } from '../../../scripts/setup-tests.js';
import { Cluster } from './cluster.ts';
import { seedOf } from './random.ts';
import { grows, soak } from './soak.ts';
import { WAYS } from './ways.ts';

/** In a shorter run a process is still on the way to its usual size. */
const SETTLED_S = 300;
const seconds = Number(process.env.GATEHOUSE_TEST_SECONDS || 600);
const seed = seedOf();
const {
  GATEHOUSE_TEST_MONGOD: mongod = '',
  GATEHOUSE_TEST_REDIS = '',
  GATEHOUSE_TEST_REDIS_OLDEST = '',
  GATEHOUSE_TEST_FAKETIME: faketime = '',
} = findTools();
const redis = process.env.GATEHOUSE_TEST_OLDEST ? GATEHOUSE_TEST_REDIS_OLDEST : GATEHOUSE_TEST_REDIS;

console.info(`seed ${seed}, ${seconds} s`);
const begun = performance.now();
// A heap that is as small as the work allows: what is kept for good shows.
const env = { NODE_OPTIONS: '--max-old-space-size=96' };
const cluster = await Cluster.start({ mongod, redis, storeMs: 1500, env, faketime, clocks: faketime !== '' });
try {
  const onFault = (what: string) => console.info(`${Math.round(performance.now() - begun)} ms: ${what}`);
  const { violations, counts, faults, memory } = await soak(cluster, { seed, seconds, onFault });
  console.info(counts);
  for (const { replica, quarters, throughout } of memory) {
    const sizes = quarters.map((kib) => Math.round(kib / 1024)).join(', ');
    console.info(
      `${replica}: ${sizes} MiB in the quarters of the time${throughout ? '' : ' (killed meanwhile)'}`,
    );
  }
  const growing = seconds < SETTLED_S ? [] : memory.filter(grows);
  for (const { replica } of growing) console.error(`${replica} takes more and more memory`);
  const sum = (picks: (name: string) => boolean) =>
    Object.entries(counts).reduce((all, [name, count]) => all + (picks(name) ? count : 0), 0);
  const verifies = WAYS.map((way) => `${sum((name) => name.startsWith(`Verify ${way} `))} by ${way}`);
  const changes = sum((name) => !name.startsWith('Verify ') && name.endsWith(' ok'));
  for (const violation of violations) console.error(violation);
  console.info(
    `seed ${seed}: verifies: ${verifies.join(', ')}; ${changes} changes, ${faults} faults, ${counts.violations ?? violations.length} violations`,
  );
  process.exitCode = violations.length + growing.length === 0 ? 0 : 1;
} finally {
  await cluster.remove();
}
