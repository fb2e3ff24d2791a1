// Loaded before a program that starts servers of MongoDB's and Redis' protocols (`node --import`): sets up what is not there,
// as `npm test` does, and ends the program where it cannot.

import { isMainThread } from 'node:worker_threads';
import { findTools, setUpTests } from './setup-tests.js';

if (isMainThread) {
  // What else the tests need may be missing here.
  setUpTests();
  const tools = findTools();
  const redis = process.env.GATEHOUSE_TEST_OLDEST
    ? tools.GATEHOUSE_TEST_REDIS_OLDEST
    : tools.GATEHOUSE_TEST_REDIS;
  if (!tools.GATEHOUSE_TEST_MONGOD || !redis) process.exit(1);
}
