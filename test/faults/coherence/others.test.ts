/** Replicas that share no Redis. */

import { describe, expect, onTestFinished, test } from 'vitest';
import { failingStart } from '../../support/failing-start.ts';
import { MONGOD } from '../../support/mongodb.ts';
import { REDIS } from '../../support/redis.ts';
import { Clients } from './clients.ts';
import { Cluster, ROOT_KEY } from './cluster.ts';
import { requireOk } from './scenario.ts';
import { EVERY_CHANGE } from './scenarios/silent.ts';
import { MAIN, startService } from './service.ts';

const ALL_MS = 120_000;

describe.skipIf(MONGOD === '' || REDIS === '')('replicas', () => {
  test(
    'without a Redis have what is taken away on one of them gone on every other',
    async () => {
      const cluster = await Cluster.start({ withRedis: false });
      onTestFinished(() => cluster.remove());
      const clients = new Clients(cluster);
      await EVERY_CHANGE.run(cluster, clients);
      const key = await clients.create(cluster.at(0));
      await clients.warm([key]);
      cluster.at(1).pause();
      requireOk(await clients.revoke(cluster.at(0), key));
      const queued = clients.verify(cluster.at(1), key.credential);
      cluster.at(1).resume();
      await queued;
      expect(clients.violations).toEqual([]);
    },
    ALL_MS,
  );

  test(
    'without REDIS_URL do not start over a store whose replicas share a Redis',
    async () => {
      const cluster = await Cluster.start({ replicas: 1 });
      onTestFinished(() => cluster.remove());
      const MONGODB_URI = cluster.store.uri('cluster');
      const { code, lines } = failingStart({ MONGODB_URI, GATEHOUSE_ROOT_KEY: ROOT_KEY });
      expect(code).toBe(1);
      expect(lines).toEqual([expect.stringContaining('REDIS_URL is not set')]);
    },
    ALL_MS,
  );

  test(
    'that ran without a Redis before others shared one cannot confirm what they take away',
    async () => {
      const cluster = await Cluster.start({ replicas: 1, withRedis: false });
      onTestFinished(() => cluster.remove());
      const clients = new Clients(cluster);
      const key = await clients.create(cluster.at(0));

      const sharing = await startService(
        MAIN,
        {
          MONGODB_URI: cluster.store.uri('cluster'),
          REDIS_URL: cluster.redis.url(),
          GATEHOUSE_ROOT_KEY: ROOT_KEY,
        },
        '/',
      );
      onTestFinished(() => sharing.kill());
      const { reason } = await clients.revoke(cluster.at(0), key);
      expect(reason).toBe('PROPAGATION_UNCONFIRMED');
    },
    ALL_MS,
  );
});
