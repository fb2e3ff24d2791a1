/** One server for all test files that need none of their own: started before the first, ended after the last. */

import type { TestProject } from 'vitest/node';
import { findTools } from '../../scripts/setup-tests.js';
import { startMongo } from './mongodb.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The URI of the server; empty where there is none, so its tests are skipped. */
    readonly mongodb: string;
  }
}

export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const { GATEHOUSE_TEST_MONGODB_URI: given = '', GATEHOUSE_TEST_MONGOD: program = '' } = findTools();
  if (given !== '' || program === '') {
    project.provide('mongodb', given);
    return undefined;
  }
  // Many ask it at once, and it is slow: how soon Gatehouse gives up is for tests with a server of their own.
  const server = await startMongo(program, { uriOptions: '&timeoutMS=5000' });
  project.provide('mongodb', server.uri('shared'));
  return () => server.remove();
}
