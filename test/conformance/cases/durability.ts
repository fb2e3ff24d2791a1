import { describe, expect, test } from 'vitest';
import type { Opened, OpenForCase } from '../key-store.ts';
import {
  changed,
  newBatch,
  sampleEvent,
  sampleKey,
  sampleKeyspace,
  sampleRequest,
  sampleSecret,
  storeKey,
  T0,
} from '../samples.ts';

export function durabilityCases(open: OpenForCase): void {
  describe('durability', () => {
    test('what was written is there after the store was opened again', async () => {
      const opened = await open();
      const { store } = opened;
      const registry = changed(await store.readRegistry(), { prefixes: { acx: 'acx_' } });
      await store.replaceRegistry(registry);
      const keyspace = sampleKeyspace({ id: 'acx' });
      await store.insertKeyspace(keyspace);
      const bare = sampleKey({ name: 'first' });
      const first = { ...bare, pending: [sampleEvent(bare), sampleEvent(bare)] };
      const secret = sampleSecret(first);
      await store.insertKey(first, secret);
      await store.publishEvents({ kind: 'key', id: first.id });
      const second = changed({ ...first, pending: [sampleEvent(first)] }, { name: 'second' });
      await store.replaceKey(second);
      await store.addUsage(newBatch(), [{ keyId: first.id, count: 7, lastUsedTime: T0 }]);

      const further = sampleSecret(second, { generation: 'next' });
      await store.insertSecret(further);
      const request = sampleRequest({ expireTime: Date.now() + 1000 });
      await store.insertRequest(request);
      await store.finishRequest(request);
      const child = await storeKey(store, { parentKeyId: first.id, keyspace: 'shop' });

      const again = await reopened(opened);
      expect(await again.findSecret(further.keyspace, further.lookup)).toEqual(further);
      expect(await again.readRequest(request.id)).toEqual({ ...request, done: true });
      expect(await again.listChildren(first.id, undefined, 9)).toEqual([child]);
      expect(await again.readRegistry()).toEqual(registry);
      expect(await again.listKeyspaces()).toEqual([keyspace]);
      expect(await again.getKey(first.id)).toEqual(second);
      expect(await again.findSecret(secret.keyspace, secret.lookup)).toEqual(secret);
      expect(await again.listEvents({ kind: 'key', id: first.id })).toEqual(first.pending);
      expect(await again.listUnpublished(9)).toEqual([{ kind: 'key', id: first.id }]);
      const usage = { count: 7, lastUsedTime: T0 };
      expect(await again.listKeys({ filter: { keyspaces: ['acx'] }, limit: 9, now: T0 })).toEqual([
        { key: second, usage },
      ]);
    });

    test('a store that was opened again goes on being changed', async () => {
      const opened = await open();
      const key = await storeKey(opened.store);
      const again = await reopened(opened);
      expect(await again.replaceKey(changed(key, { name: 'later' }))).toBe(true);
      expect(await again.replaceKey(changed(key, { name: 'lost' }))).toBe(false);
      await storeKey(again);
      expect(await again.countKeys({}, T0)).toEqual({ total: 2, active: 2, revoked: 0 });
    });
  });
}

async function reopened(opened: Opened): ReturnType<NonNullable<Opened['reopen']>> {
  if (opened.reopen === undefined) throw new Error('a durable store must bring reopen');
  return await opened.reopen();
}
