/** Changes and faults by chance find nothing wrong. `npm run soak` does it for longer. */

import { expect, onTestFinished, test } from 'vitest';
import { MONGOD } from '../../support/mongodb.ts';
import { REDIS } from '../../support/redis.ts';
import { FAKETIME } from './clocks.ts';
import { Cluster } from './cluster.ts';
import { seedOf } from './random.ts';
import { soak } from './soak.ts';
import { WAYS } from './ways.ts';

const SECONDS = Number(process.env.GATEHOUSE_TEST_SECONDS || 120);

test.skipIf(MONGOD === '' || REDIS === '')(
  'no answer is wrong while replicas, links, Redis and the store are harmed by chance',
  async () => {
    const seed = seedOf();
    const faults: string[] = [];
    const cluster = await Cluster.start({ storeMs: 1500, clocks: FAKETIME !== '' });
    onTestFinished(() => cluster.remove());
    const { violations, counts } = await soak(cluster, {
      seed,
      seconds: SECONDS,
      onFault: (what) => faults.push(what),
    });
    expect(violations, `GATEHOUSE_TEST_SEED=${seed}, after ${faults.join('; ')}`).toEqual([]);
    for (const way of WAYS) expect(counts[`Verify ${way} valid`], way).toBeGreaterThan(0);
  },
  1000 * (SECONDS + 150),
);
