import { describe, expect, test } from 'vitest';
import { REQUEST_TTL } from '../../../src/domain/request.ts';
import type { KeyStore } from '../../../src/storage/key-store.ts';
import type { OpenForCase } from '../key-store.ts';
import { atOnce, sampleRequest } from '../samples.ts';

/** Requests are dropped by the clock of the server, so those of these cases are of today. */
const now = Date.now();
const current = () => sampleRequest({ expireTime: now + REQUEST_TTL });

export function requestCases(open: OpenForCase<KeyStore>): void {
  describe('requests', () => {
    test('one that was noted is given back as it is, and no other', async () => {
      const store = await open();
      const request = current();
      expect(await store.readRequest(request.id)).toBeUndefined();
      expect(await store.insertRequest(request)).toBe(true);
      expect(await store.readRequest(request.id)).toEqual(request);
      expect(await store.readRequest(`${request.id}x`)).toBeUndefined();
    });

    test('one whose id is noted changes nothing, also where that has expired', async () => {
      const store = await open();
      for (const first of [current(), sampleRequest({ expireTime: now })]) {
        await store.insertRequest(first);
        expect(await store.insertRequest({ ...current(), id: first.id })).toBe(false);
        expect(await store.readRequest(first.id)).toEqual(first);
      }
    });

    test('of 16 noted at once under one id one wins', async () => {
      const store = await open();
      const request = current();
      const won = await atOnce(16, (index) =>
        store.insertRequest({ ...request, fingerprint: `writer ${index}` }),
      );
      expect(won.filter(Boolean)).toHaveLength(1);
      const { fingerprint } = (await store.readRequest(request.id)) ?? {};
      expect(fingerprint).toBe(`writer ${won.indexOf(true)}`);
    });

    test('one that was finished says so, however often', async () => {
      const store = await open();
      const [request, other] = [current(), current()];
      for (const one of [request, other]) await store.insertRequest(one);
      await store.finishRequest(request);
      await store.finishRequest(request);
      expect(await store.readRequest(request.id)).toEqual({ ...request, done: true });
      expect(await store.readRequest(other.id)).toEqual(other);
    });

    test('one that was released is forgotten, and its id may be noted anew', async () => {
      const store = await open();
      const [request, other] = [current(), current()];
      for (const one of [request, other]) await store.insertRequest(one);
      await store.releaseRequest(request);
      await store.releaseRequest(request);
      expect(await store.readRequest(request.id)).toBeUndefined();
      expect(await store.readRequest(other.id)).toEqual(other);
      expect(await store.insertRequest(request)).toBe(true);
      expect(await store.readRequest(request.id)).toEqual(request);
    });

    test('one of an id that was noted anew is neither finished nor released by who knows the one before', async () => {
      const store = await open();
      const before = sampleRequest({ expireTime: now });
      const request = { ...before, expireTime: now + REQUEST_TTL };
      await store.insertRequest(request);
      await store.finishRequest(before);
      await store.releaseRequest(before);
      expect(await store.readRequest(request.id)).toEqual(request);
    });

    test('finishing or releasing what is not there does nothing', async () => {
      const store = await open();
      const request = current();
      await store.finishRequest(request);
      await store.releaseRequest(request);
      expect(await store.readRequest(request.id)).toBeUndefined();
    });

    test('one that expired less than a day ago is there still, whatever is noted meanwhile', async () => {
      const store = await open();
      const request = sampleRequest({ expireTime: now - REQUEST_TTL + 60_000 });
      await store.insertRequest(request);
      for (let index = 0; index < 3; index++) await store.insertRequest(current());
      expect(await store.readRequest(request.id)).toEqual(request);
    });
  });
}
