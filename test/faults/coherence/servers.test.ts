/** As scenarios.test.ts, where Redis has copies, one of which takes the master's place; and where clocks are stepped. */

import { REDIS } from '../../support/redis.ts';
import { FAKETIME } from './clocks.ts';
import { describeScenarios } from './described.ts';
import * as clocks from './scenarios/clocks.ts';
import * as failover from './scenarios/failover.ts';

describeScenarios('a Valkey with copies', REDIS, Object.values(failover));

// libfaketime is a package of the system: nobody must be root to pass the tests.
if (FAKETIME !== '')
  describeScenarios('a Valkey, with clocks that are stepped', REDIS, Object.values(clocks));
