/** What is good in the end, but is refused for a while by replicas that could not be told. */

import { setTimeout } from 'node:timers/promises';
import { SWEPT_MS } from '../clients.ts';
import { requireOk, requireReason, type Scenario, watch, within } from '../scenario.ts';

/** Milliseconds on top of the sweep's, on a busy machine. */
const BUSY_MS = 6000;

export const UNDONE: Scenario = {
  name: 'a rotation that was taken back leaves the old secret good on every replica once the sweep has told them',
  async run(cluster, clients) {
    const [away, other] = [cluster.at(0), cluster.at(1)];
    const key = await clients.create(away);
    await clients.warm([key], [other]);
    requireOk(await clients.rename(other, key));
    const revisionNow = async () => {
      const { body } = await clients.call(other, 'KeyService/GetKey', { id: key.id });
      return Number(body.key.revision);
    };
    const before = await revisionNow();
    // It still has its lease, and does not know yet that nobody hears it.
    away.toRedis.halfOpen();
    const rotation = clients.rotate(away, key);
    await within('the rotation is stored', 5000, async () => (await revisionNow()) > before);
    // Now the other one keeps the rotated key.
    await clients.verify(other, key.credential);
    requireReason(await rotation, 'REPLICAS_UNREACHABLE');
    const ms = await within('the old secret is good', SWEPT_MS + BUSY_MS, async () => {
      return (await clients.verify(other, key.credential)).answer === 'valid';
    });
    clients.counts['ms until an undone rotation was heard of'] = Math.round(ms);
    await watch(clients, other, key.credential, 300);
  },
};

export const NEW_KEYSPACE: Scenario = {
  name: 'a keyspace made by a replica that is cut off is known to the others once the sweep has told them',
  async run(cluster, clients) {
    const [away, other] = [cluster.at(0), cluster.at(1)];
    const known = await clients.create(other);
    await clients.warm([known]);
    away.toRedis.cut();
    const keyspace = await clients.createKeyspace(away);
    const key = await clients.create(away, undefined, keyspace);
    const withdrawal = { what: 'not told yet', begun: 0, undone: performance.now() + SWEPT_MS };
    key.credential.withdrawals.push(withdrawal);
    const ms = await within('the key is good', SWEPT_MS + BUSY_MS, async () => {
      return (await clients.verify(other, key.credential)).answer === 'valid';
    });
    clients.counts['ms until a keyspace was heard of'] = Math.round(ms);
    await setTimeout(100);
    await clients.warm([key]);
  },
};
