import { defineConfig } from 'vitest/config';
import { findTools } from './scripts/setup-tests.js';

const tools = findTools();

/** What runs the service as its users do; these run over each store. */
const SERVICE = ['acceptance', 'cli', 'keys', 'products', 'rpc', 'telemetry'];
/** Of those, what is about the embedded store's file. */
const DATA_FILE = ['test/acceptance/data-file.test.ts', 'test/acceptance/scale.test.ts'];

const overEmbedded = { name: 'embedded', include: ['test/**/*.test.ts'] };
const overMongo = {
  name: 'mongodb',
  include: SERVICE.map((folder) => `test/${folder}/**/*.test.ts`),
  exclude: DATA_FILE,
  // Whoever starts the service, or opens a store for it, asks this.
  env: { ...tools, GATEHOUSE_TEST_STORE: 'mongodb' },
};
const hasMongo = tools.GATEHOUSE_TEST_MONGODB_URI !== '' || tools.GATEHOUSE_TEST_MONGOD !== '';

export default defineConfig({
  test: {
    globalSetup: 'test/support/shared-mongodb.ts',
    // A process for each file: tests start servers, set environments and end processes by id.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Where the programs are that the tests need, empty where there is none.
    env: tools,
    projects: [overEmbedded, ...(hasMongo ? [overMongo] : [])].map((test) => ({
      extends: true as const,
      test,
    })),
  },
});
