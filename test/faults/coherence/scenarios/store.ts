/** The store away, and replicas that end between the store's write and the telling. */

import { setTimeout } from 'node:timers/promises';
import { refusedWithin, requireOk, type Scenario, watch, within } from '../scenario.ts';

/** Within which another replica has told of a change whose own one cannot, in milliseconds, on a busy machine. */
const FINISHED_MS = 10_000;

export const KILLED_BETWEEN: Scenario = {
  name: 'a replica killed between the store’s write and its telling: another one makes the revocation true everywhere',
  async run(cluster, clients) {
    const [dying, ...others] = [cluster.at(2), cluster.at(0), cluster.at(1)];
    const retry = cluster.at(0);
    for (const again of [false, true]) {
      const key = await clients.create(retry);
      await clients.warm([key]);
      dying.toRedis.halfOpen();
      const call = clients.revoke(dying, key);
      // It is written: who asks the store itself says so.
      await within('the revocation is stored', 5000, async () => {
        const { body } = await clients.call(retry, 'KeyService/GetKey', { id: key.id });
        return body?.key?.revokeTime !== undefined;
      });
      await dying.kill();
      await call;
      if (again) {
        requireOk(await clients.revoke(retry, key));
        await clients.warm([key], others);
      } else {
        for (const replica of others) await refusedWithin(clients, replica, key.credential, FINISHED_MS);
      }
      await dying.toRedis.restore();
      await dying.start();
      await cluster.leased();
      const { answer } = await clients.answered(dying, key.credential);
      if (answer !== 'invalid') throw new Error('the replica that was started again accepts it');
    }
  },
};

export const CUT_OFF_CHANGER: Scenario = {
  name: 'a revocation by a replica that is cut off from Redis is recorded, told to be unconfirmed, and made true by the others',
  async run(cluster, clients) {
    const [away, ...others] = [cluster.at(2), cluster.at(0), cluster.at(1)];
    for (const fault of ['cut', 'halfOpen'] as const) {
      const key = await clients.create(cluster.at(0));
      await clients.warm([key]);
      away.toRedis[fault]();
      const { reason } = await clients.revoke(away, key);
      if (reason !== 'PROPAGATION_UNCONFIRMED') throw new Error(`answered ${reason}`);
      for (const replica of others) await refusedWithin(clients, replica, key.credential, FINISHED_MS);
      await away.toRedis.restore();
      await cluster.leased();
    }
  },
};

export const STORE_STOPPED: Scenario = {
  name: 'while the store is stopped known keys stay good, unknown ones and changes are told to be unavailable',
  async run(cluster, clients) {
    const known = await clients.create(cluster.at(0));
    const unknown = await clients.create(cluster.at(0));
    const asking = cluster.at(1);
    await clients.warm([known]);
    cluster.pauseStore();
    try {
      const asked = clients.verify(asking, unknown.credential);
      const change = clients.revoke(asking, known);
      const end = performance.now() + 3000;
      while (performance.now() < end) {
        const { answer } = await clients.verify(asking, known.credential);
        if (answer !== 'valid') throw new Error(`a known key was answered ${answer}`);
        await setTimeout(10);
      }
      if ((await asked).answer !== 'none') throw new Error('an unknown key was answered');
      const { code } = await change;
      if (code !== 'unavailable') throw new Error(`a change was answered ${code}`);
    } finally {
      cluster.resumeStore();
    }
    await within('the unknown key is good', 20_000, async () => {
      return (await clients.verify(asking, unknown.credential)).answer === 'valid';
    });
  },
};

export const BOTH_KILLED: Scenario = {
  name: 'after the store and Redis were both killed and started again all is as before, without a restart',
  async run(cluster, clients) {
    const [good, revoked] = [await clients.create(cluster.at(0)), await clients.create(cluster.at(0))];
    await clients.warm([good, revoked]);
    requireOk(await clients.revoke(cluster.at(0), revoked));
    await cluster.redis.kill();
    await cluster.store.kill();
    await Promise.all(cluster.replicas.map((one) => watch(clients, one, revoked.credential, 1500)));
    await cluster.store.start();
    await cluster.redis.start();
    await cluster.leased();
    await clients.warm([good, revoked]);
    requireOk(await clients.revoke(cluster.at(1), good));
    await clients.warm([good]);
  },
};
