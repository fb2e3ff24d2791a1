/** MongoDB and Redis for replicas of Gatehouse, as the tests' set-up finds or installs them. On the core of the load. */

import { findTools } from '../../scripts/setup-tests.js';
import { startMongo } from '../support/mongodb.ts';
import { startRedis } from '../support/redis.ts';
import { LOAD_CORE, pin } from './machine.ts';

export interface SharedStores {
  readonly mongodbUri: string;
  /** The settings of a replica over them. */
  readonly env: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

/** @returns undefined where one of them is missing. */
export async function startSharedStores(): Promise<SharedStores | undefined> {
  const { GATEHOUSE_TEST_MONGOD: mongod, GATEHOUSE_TEST_REDIS: redisServer } = findTools();
  if (!mongod || !redisServer) return undefined;
  const mongo = await startMongo(mongod);
  const redis = await startRedis(redisServer);
  for (const { pid } of [mongo, redis]) pin(pid, LOAD_CORE);
  const mongodbUri = mongo.uri('bench');
  return {
    mongodbUri,
    env: { MONGODB_URI: mongodbUri, REDIS_URL: redis.url() },
    async remove() {
      await redis.remove();
      await mongo.remove();
    },
  };
}
