/** What is taken away stays away, and what is good works, whatever breaks: faults and changes in their most telling order. */

import { LONG } from '../../support/long.ts';
import { REDIS, REDIS_OLDEST } from '../../support/redis.ts';
import { describeScenarios } from './described.ts';
import * as callers from './scenarios/callers.ts';
import * as forged from './scenarios/forged.ts';
import * as loads from './scenarios/loads.ts';
import * as parallel from './scenarios/parallel.ts';
import * as redis from './scenarios/redis.ts';
import * as silent from './scenarios/silent.ts';
import * as store from './scenarios/store.ts';
import * as unconfirmed from './scenarios/unconfirmed.ts';
import * as unknown from './scenarios/unknown.ts';

/** Somebody who may write into Redis can still put a copy back that was true in the same life of it (see README.md). */
const { REPLAYED: _, ...believed } = forged;

describeScenarios(
  'Valkey 9',
  REDIS,
  [silent, redis, store, loads, unconfirmed, parallel, unknown, believed, callers].flatMap((part) =>
    Object.values(part),
  ),
);

// What Redis itself does: its scripts, epochs and files; all of it with GATEHOUSE_TEST_LONG=1.
const { EMPTIED, FLUSHED, OLD_DUMP } = redis;
describeScenarios(
  'Redis 6.2',
  REDIS_OLDEST,
  LONG ? [redis, believed].flatMap((part) => Object.values(part)) : [EMPTIED, FLUSHED, OLD_DUMP],
);
