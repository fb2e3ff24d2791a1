import { defineConfig } from 'vitest/config';
import { findTools } from './scripts/setup-tests.js';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A process for each file: tests start servers, set environments and end processes by id.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // GATEHOUSE_TEST_GRPCURL: the program, or empty where there is none.
    env: findTools(),
  },
});
