/** `npm run mutations [-- words of their names]`: takes out one guard after the other and looks whether it is missed. */

import { findTools } from '../../../scripts/setup-tests.js';
import { Clients } from './clients.ts';
import { Cluster, type ClusterOptions } from './cluster.ts';
import { MUTATIONS, type Mutation, mutated } from './mutations.ts';
import type { Scenario } from './scenario.ts';

const {
  GATEHOUSE_TEST_MONGOD: mongod = '',
  GATEHOUSE_TEST_REDIS: redis = '',
  GATEHOUSE_TEST_FAKETIME: faketime = '',
} = findTools();
const words = process.argv.slice(2);

/** @returns whether each of its scenarios has found wrong answers. */
async function caught(mutation: Mutation): Promise<boolean> {
  const { main, remove } = mutated(mutation);
  const withRedis = !mutation.name.startsWith('coherence altogether');
  let all = true;
  try {
    for (const scenario of mutation.scenarios) {
      const { violation, thrown } = await ran(scenario, { main, withRedis });
      const found = violation !== undefined;
      all &&= found;
      console.info(`${found ? 'caught' : 'NOT CAUGHT'}: without ${mutation.name}`);
      console.info(`    by "${scenario.name}": ${violation ?? 'nothing was wrong'} ${thrown}`);
    }
  } finally {
    remove();
  }
  return all;
}

/** @returns the first wrong answer, and what was thrown besides, also where the replicas do not even start. */
async function ran(
  scenario: Scenario,
  options: ClusterOptions,
): Promise<{ violation: string | undefined; thrown: string }> {
  let cluster: Cluster | undefined;
  let clients: Clients | undefined;
  let thrown = '';
  try {
    cluster = await Cluster.start({ mongod, redis, faketime, ...options, ...scenario.options });
    clients = new Clients(cluster);
    await scenario.run(cluster, clients);
  } catch (error) {
    thrown = error instanceof Error ? error.message : String(error);
  } finally {
    await cluster?.remove();
  }
  return { violation: clients?.violations[0], thrown };
}

let missed = 0;
const chosen = MUTATIONS.filter(
  ({ name }) => words.length === 0 || words.some((word) => name.includes(word)),
);
for (const mutation of chosen) if (!(await caught(mutation))) missed++;
console.info(`${chosen.length - missed} of ${chosen.length} mutations caught`);
process.exitCode = missed === 0 ? 0 : 1;
