/** How scenarios become tests. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MONGOD } from '../../support/mongodb.ts';
import { Clients } from './clients.ts';
import { Cluster } from './cluster.ts';
import type { Scenario } from './scenario.ts';

const SCENARIO_MS = 120_000;

/** One after the other on one cluster, over a Redis of this program. @param scenarios want the same cluster. */
export function describeScenarios(server: string, program: string, scenarios: readonly Scenario[]): void {
  describe.skipIf(program === '' || MONGOD === '')(`three replicas over ${server}`, () => {
    let cluster: Cluster;
    beforeAll(async () => {
      cluster = await Cluster.start({ redis: program, ...scenarios[0]?.options });
    }, SCENARIO_MS);
    afterAll(() => cluster?.remove());

    // (test.each would cut their names.)
    for (const scenario of scenarios) {
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
}
