import { describe, expect, test } from 'vitest';
import { Failure } from '../../../src/domain/failure.ts';
import type { KeyStore } from '../../../src/storage/key-store.ts';
import type { OpenForCase } from '../key-store.ts';
import {
  changed,
  newBatch,
  sampleKey,
  sampleKeyspace,
  sampleOwner,
  sampleRequest,
  sampleSecret,
  T0,
} from '../samples.ts';

export function lifeCases(open: OpenForCase<KeyStore>): void {
  describe('life', () => {
    test('ping resolves, and changes nothing that a caller sees', async () => {
      const store = await open();
      const registry = await store.readRegistry();
      await store.ping();
      await store.ping();
      expect(await store.readRegistry()).toEqual(registry);
      expect(await store.listKeys({ filter: {}, limit: 9, now: T0 })).toEqual([]);
    });

    test('closing twice does no harm', async () => {
      const store = await open();
      await store.close();
      await store.close();
    });

    test('a closed store rejects every call as unavailable, also for what it had just read', async () => {
      const store = await open();
      const key = sampleKey();
      const secret = sampleSecret(key);
      const keyspace = sampleKeyspace();
      const owner = sampleOwner();
      await store.insertKey(key, secret);
      await store.insertKeyspace(keyspace);
      await store.insertOwner(owner);
      const calls: Readonly<Record<Exclude<keyof KeyStore, 'close'>, () => Promise<unknown>>> = {
        readRegistry: () => store.readRegistry(),
        replaceRegistry: () => store.replaceRegistry({ revision: 2, prefixes: {}, macKey: '' }),
        listKeyspaces: () => store.listKeyspaces(),
        insertKeyspace: () => store.insertKeyspace(sampleKeyspace()),
        replaceKeyspace: () => store.replaceKeyspace(changed(keyspace, {})),
        findSecret: () => store.findSecret(secret.keyspace, secret.lookup),
        getKey: () => store.getKey(key.id),
        insertKey: () => store.insertKey(sampleKey(), sampleSecret(sampleKey())),
        insertSecret: () => store.insertSecret(sampleSecret(sampleKey())),
        replaceKey: () => store.replaceKey(changed(key, {})),
        getOwner: () => store.getOwner(owner.id),
        readOwners: () => store.readOwners([owner.id]),
        insertOwner: () => store.insertOwner(sampleOwner()),
        replaceOwner: () => store.replaceOwner(changed(owner, {})),
        listOwners: () => store.listOwners({}, undefined, 1),
        listUnmarkedOwners: () => store.listUnmarkedOwners(1),
        finishMarking: () => store.finishMarking({ kind: 'owner', id: owner.id }, 1),
        listKeys: () => store.listKeys({ filter: {}, limit: 1, now: T0 }),
        listChildren: () => store.listChildren(key.id, undefined, 1),
        insertRequest: () => store.insertRequest(sampleRequest()),
        readRequest: () => store.readRequest('request'),
        finishRequest: () => store.finishRequest({ id: 'request', expireTime: T0 }),
        releaseRequest: () => store.releaseRequest({ id: 'request', expireTime: T0 }),
        countKeys: () => store.countKeys({}, T0),
        listPeppers: () => store.listPeppers(),
        countKeysUnder: () => store.countKeysUnder('p1', T0),
        listUnpublished: () => store.listUnpublished(1),
        publishEvents: () => store.publishEvents({ kind: 'key', id: key.id }),
        listEvents: () => store.listEvents({ kind: 'key', id: key.id }),
        addUsage: () => store.addUsage(newBatch(), [{ keyId: key.id, count: 1, lastUsedTime: T0 }]),
        readUsage: () => store.readUsage([key.id]),
        ping: () => store.ping(),
      };
      for (const call of Object.values(calls)) await call().catch(() => undefined);
      await store.close();
      for (const [name, call] of Object.entries(calls)) {
        const error = await call().catch((reason: unknown) => reason);
        expect(error, name).toBeInstanceOf(Failure);
        expect(error, name).toMatchObject({ kind: 'unavailable', message: 'the store cannot answer now' });
      }
    });
  });
}
