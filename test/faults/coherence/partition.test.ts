/** A replica that lost both the others and the store. */

import { describe, expect, onTestFinished, test } from 'vitest';
import { MONGOD } from '../../support/mongodb.ts';
import { REDIS } from '../../support/redis.ts';
import { Clients } from './clients.ts';
import { Cluster, type Replica } from './cluster.ts';
import { requireOk, within } from './scenario.ts';

/** Long enough to be seen at work, and to be seen to end. */
const BOUND_S = 4;

describe.skipIf(MONGOD === '' || REDIS === '')('a replica without Redis and without the store', () => {
  test('goes on with known keys of keyspaces that trade so, for as long as they say, and with no others', async () => {
    const cluster = await Cluster.start({ replicas: 2, storeMs: 500 });
    onTestFinished(() => cluster.remove());
    const clients = new Clients(cluster);
    const [away, other] = [cluster.at(0), cluster.at(1)];
    const keyspace = await clients.createKeyspace(other);
    requireOk(
      await clients.call(other, 'KeyspaceService/UpdateKeyspace', {
        keyspace: { id: keyspace, onPartition: 'ON_PARTITION_AVAILABLE', partitionBound: `${BOUND_S}s` },
        updateMask: 'onPartition,partitionBound',
      }),
    );
    const [traded, strict] = [await clients.create(other, undefined, keyspace), await clients.create(other)];
    await clients.warm([traded, strict]);
    const ask = (secret: string) => cluster.caller.call(away.http, 'AuthService/Verify', { token: secret });

    const metrics = async (one: Replica) => (await fetch(`${one.http}/metrics`)).text();
    expect(await metrics(other)).toMatch(/^gatehouse_change_confirmation_seconds_count [1-9]/m);
    const ready = async () => (await fetch(`${away.http}/readyz`)).status;
    away.toRedis.cut();
    away.toStore.halfOpen();
    await within('the lease is over', 5000, async () => !(await away.leased()));
    const over = performance.now();
    const { code, body } = await ask(traded.credential.secret);
    expect([code, body?.valid]).toEqual(['ok', true]);
    expect(Number.parseFloat(body.recordAge)).toBeGreaterThan(0);
    expect((await ask(strict.credential.secret)).code).toBe('unavailable');
    expect(await ready()).toBe(200);
    expect(await metrics(away)).toMatch(/^gatehouse_reads_without_lease_total\{from="memory"\} [1-9]/m);

    // Revoked elsewhere meanwhile: the answer said until when that may go unheard.
    const revoked = requireOk(await clients.call(other, 'KeyService/RevokeKey', { id: traded.id }));
    const promised = Date.parse(revoked.body.propagation.effectiveTime);
    expect(promised - Date.now()).toBeGreaterThan(1000 * (BOUND_S - 2));
    await within('its time is over', 1000 * (BOUND_S + 3), async () => {
      return (await ask(traded.credential.secret)).code === 'unavailable';
    });
    await within('it is not ready', 5000, async () => (await ready()) === 503);
    expect(Date.now()).toBeLessThan(promised + 3000);
    expect(performance.now() - over).toBeGreaterThan(1000 * (BOUND_S - 2));

    await cluster.heal();
    await cluster.leased();
    expect((await ask(traded.credential.secret)).body).toMatchObject({ status: 'VERIFY_STATUS_REVOKED' });
    expect((await ask(strict.credential.secret)).body).toMatchObject({ valid: true });
  }, 60_000);
});
