import { defineConfig } from 'vitest/config';
import { findTools } from './scripts/setup-tests.js';

const tools = findTools();

/**
 * What runs the service, or its operations, over a store: this runs over each store. The command line is not among it: it
 * knows the ports alone, and where it is about stores it has both by itself.
 */
const OVER_A_STORE = ['acceptance', 'keys', 'products', 'verification'];
/** Of those, what says nothing about MongoDB, or has a server of its own in either run. */
const EMBEDDED_ONLY = [
  // The embedded store's file, or more at once than the tests' server does.
  'acceptance/{data-file,full-disk,many-bodies,scale,scale-mongodb}',
  // The ports, their connections and what comes in, whatever is behind them.
  'acceptance/{bad-input,both-ports,odd-messages,slow-body,stop,verify-stream}',
  // Over MongoDB in any case.
  'acceptance/workers',
  // Operations without a service around them: minutes for the tests' server. The conformance suite holds the store to what they
  // rest on, and the service's own tests run over both. As peppers say nothing about a store, and processes that are killed over
  // MongoDB are in test/faults. GATEHOUSE_TEST_LONG=1 takes the time.
  ...(process.env.GATEHOUSE_TEST_LONG
    ? []
    : ['keys/*', 'acceptance/{crash,peppers,repeat,watch-revocations}']),
  // There is no store in it, or none that answers.
  'acceptance/settings',
  'keys/{page-token,revoke-many,revoke-keys-mongodb,scan-bound}',
  'verification/{argon2,usage}',
];

const overEmbedded = {
  name: 'embedded',
  include: ['test/**/*.test.ts'],
  exclude: [
    // Those of the benches' peers bring tests of their own.
    '**/node_modules/**',
    // Spin and a C compiler are packages of the system: nobody must be root to pass the tests.
    ...(tools.GATEHOUSE_TEST_SPIN === '' ? ['test/model/**'] : []),
  ],
};
const overMongo = {
  name: 'mongodb',
  include: OVER_A_STORE.map((folder) => `test/${folder}/**/*.test.ts`),
  exclude: EMBEDDED_ONLY.map((files) => `test/${files}.test.ts`),
  // Whoever starts the service, or opens a store for it, asks this.
  env: { ...tools, GATEHOUSE_TEST_STORE: 'mongodb' },
  // The tests' server is slow, and the more so the more is asked of it.
  testTimeout: 60_000,
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
