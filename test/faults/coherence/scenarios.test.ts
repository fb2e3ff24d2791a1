/** What is taken away stays away, and what is good works, whatever breaks: faults and changes in their most telling order. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MONGOD } from '../../support/mongodb.ts';
import { REDIS, REDIS_OLDEST } from '../../support/redis.ts';
import { Clients } from './clients.ts';
import { FAKETIME } from './clocks.ts';
import { Cluster } from './cluster.ts';
import type { Scenario } from './scenario.ts';
import * as clocks from './scenarios/clocks.ts';
import * as failover from './scenarios/failover.ts';
import * as forged from './scenarios/forged.ts';
import * as loads from './scenarios/loads.ts';
import * as parallel from './scenarios/parallel.ts';
import * as redis from './scenarios/redis.ts';
import * as silent from './scenarios/silent.ts';
import * as store from './scenarios/store.ts';
import * as unconfirmed from './scenarios/unconfirmed.ts';
import * as unknown from './scenarios/unknown.ts';

const SCENARIO_MS = 120_000;

/** Somebody who may write into Redis can still put a copy back that was true in the same life of it (see README.md). */
const { REPLAYED: _, ...believed } = forged;

/** One that finds wrong answers: a lease of the time before a new master fills memory (see README.md). */
const { SPLIT: __, ...failedOver } = failover;

const SERVERS = [
  {
    server: 'Valkey 9',
    program: REDIS,
    scenarios: {
      ...silent,
      ...redis,
      ...store,
      ...loads,
      ...unconfirmed,
      ...parallel,
      ...unknown,
      ...believed,
    },
  },
  { server: 'Valkey 9 with copies', program: REDIS, scenarios: failedOver },
  // libfaketime is a package of the system: nobody must be root to pass the tests.
  ...(FAKETIME === '' ? [] : [{ server: 'Valkey 9 with clocks', program: REDIS, scenarios: clocks }]),
  // What Redis itself does: its scripts, epochs and files.
  { server: 'Redis 6.2', program: REDIS_OLDEST, scenarios: { ...redis, ...believed } },
];

describe.each(SERVERS)('over $server', ({ program, scenarios }) => {
  const all: readonly Scenario[] = Object.values(scenarios);
  describe.skipIf(program === '' || MONGOD === '')('three replicas', () => {
    let cluster: Cluster;
    beforeAll(async () => {
      cluster = await Cluster.start({ redis: program, ...all[0]?.options });
    }, SCENARIO_MS);
    afterAll(() => cluster?.remove());

    // (test.each would cut their names.)
    for (const scenario of all) {
      test(
        scenario.name,
        async () => {
          const clients = new Clients(cluster);
          try {
            await scenario.run(cluster, clients);
            expect(clients.violations).toEqual([]);
          } finally {
            await cluster.heal();
            await cluster.leased();
          }
        },
        SCENARIO_MS,
      );
    }
  });
});
