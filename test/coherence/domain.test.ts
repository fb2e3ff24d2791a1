/** Replicas over one store share one Redis: whoever comes with another one, or with none, is turned away while they live. */

import { afterAll, describe, expect, test, vi } from 'vitest';
import {
  DomainWatch,
  leaveDomain,
  requireNoDomain,
  joinDomain as tryToJoin,
} from '../../src/coherence/domain.ts';
import { changeRegistry } from '../../src/coherence/registry.ts';
import { storeUnavailable } from '../../src/domain/failure.ts';
import type { KeyStore } from '../../src/storage/key-store.ts';
import { openSqliteStore } from '../../src/storage/sqlite/open.ts';
import { StoreUnusable } from '../../src/storage/unusable.ts';
import { overlaidStore } from '../support/overlaid-store.ts';

// Most of them wait, so they run at once, and what they opened is closed after the last.
const ends: (() => unknown)[] = [];
afterAll(async () => {
  for (const end of ends.reverse()) await end();
});

async function open(): Promise<KeyStore> {
  const store = await openSqliteStore(':memory:');
  ends.push(() => store.close());
  return store;
}

async function joinDomain(...parts: Parameters<typeof tryToJoin>): Promise<string> {
  const domain = await tryToJoin(...parts);
  if (domain === undefined) throw new Error('its Redis can be asked');
  return domain;
}

/** A Redis that carries what it is told to. */
function redis(...domains: string[]) {
  const carried = new Set(domains);
  return { carried, isCarried: async (domain: string) => carried.has(domain) };
}

/** A replica of the domain; counts how often it was told that the domain is lost. */
function live(store: KeyStore, domain: string, isFollowing = () => true) {
  const lost: string[] = [];
  const watch = new DomainWatch({ store, domain, isFollowing, onLost: () => lost.push(domain) });
  ends.push(() => watch.stop());
  return { watch, lost };
}

describe.concurrent('the first process with a Redis', () => {
  test('makes a domain, which those with the same Redis join at once', async () => {
    const store = await open();
    const { carried, isCarried } = redis();
    const domain = await joinDomain(store, isCarried);
    carried.add(domain);
    const begun = performance.now();
    expect(await joinDomain(store, isCarried)).toBe(domain);
    expect(performance.now() - begun).toBeLessThan(500);
  });

  test('of eight at once makes one domain for all', async () => {
    const store = await open();
    // It carries whatever the store names, as soon as somebody has made it.
    const joined = await Promise.all(Array.from({ length: 8 }, () => joinDomain(store, async () => true)));
    expect(new Set(joined).size).toBe(1);
  });
});

describe.concurrent('a process whose Redis does not carry the domain', () => {
  test('is turned away while a replica of the domain lives, which keeps it', async () => {
    const store = await open();
    const domain = await joinDomain(store, redis().isCarried);
    const { lost } = live(store, domain);
    await expect(joinDomain(store, redis().isCarried)).rejects.toThrow(StoreUnusable);
    expect((await store.readRegistry()).domain).toBe(domain);
    expect(lost).toEqual([]);
  });

  test.each([
    ['nobody lives there', undefined],
    ['those who live there have lost their Redis', () => false],
  ])(
    'makes a new one where %s, and whoever is left of the old one learns of it',
    async (_what, isFollowing) => {
      const store = await open();
      const domain = await joinDomain(store, redis().isCarried);
      const left = isFollowing === undefined ? undefined : live(store, domain, isFollowing);
      const made = await joinDomain(store, redis().isCarried);
      expect(made).not.toBe(domain);
      expect((await store.readRegistry()).domain).toBe(made);
      if (left !== undefined) {
        expect(await left.watch.isOurs(true)).toBe(false);
        await vi.waitFor(() => expect(left.lost).toEqual([domain]));
      }
    },
  );

  test('does not take the domain from a replica that objects at the very last moment', async () => {
    const store = await open();
    const domain = await joinDomain(store, redis().isCarried);
    let back = false;
    const { watch } = live(store, domain, () => back);
    const late = overlaidStore(store, {
      async replaceRegistry(next) {
        if (next.domain !== domain) {
          back = true;
          expect(await watch.isOurs(true)).toBe(true);
        }
        return store.replaceRegistry(next);
      },
    });
    await expect(joinDomain(late, redis().isCarried)).rejects.toThrow(StoreUnusable);
    expect((await store.readRegistry()).domain).toBe(domain);
  });

  test('waits for those who are about to begin anew in a Redis that was emptied', async () => {
    const store = await open();
    const { carried, isCarried } = redis();
    const domain = await joinDomain(store, isCarried);
    setTimeout(() => carried.add(domain), 300);
    expect(await joinDomain(store, isCarried)).toBe(domain);
  });

  test('joins nothing while its Redis cannot be asked, and takes nothing away', async () => {
    const store = await open();
    const domain = await joinDomain(store, redis().isCarried);
    expect(await tryToJoin(store, async () => undefined)).toBeUndefined();
    expect(await store.readRegistry()).toMatchObject({ domain });
  });

  test('is not turned away by one that has begun an epoch in that same Redis meanwhile', async () => {
    const store = await open();
    const { carried, isCarried } = redis();
    const domain = await joinDomain(store, isCarried);
    live(store, domain);
    setTimeout(() => carried.add(domain), 2000);
    expect(await joinDomain(store, isCarried)).toBe(domain);
  });
});

describe.concurrent('a replica that comes back', () => {
  test('objects to whoever asks for its domain, and is too late where that one has it', async () => {
    const store = await open();
    const domain = await joinDomain(store, redis().isCarried);
    const { watch } = live(store, domain, () => false);
    await changeRegistry(store, () => ({ domainClaim: 'somebody' }));
    expect(await watch.isOurs(true)).toBe(true);
    expect((await store.readRegistry()).domainClaim).toBeUndefined();
    await changeRegistry(store, () => ({ domain: 'another' }));
    expect(await watch.isOurs(true)).toBe(false);
  });

  test('cannot tell where the store does not answer', async () => {
    const store = await open();
    const domain = await joinDomain(store, redis().isCarried);
    const away = overlaidStore(store, {
      readRegistry: () => Promise.reject(storeUnavailable(new Error('away'))),
    });
    const { watch, lost } = live(away, domain);
    await expect(watch.isOurs(true)).rejects.toMatchObject({ kind: 'unavailable' });
    expect(lost).toEqual([]);
  });
});

describe.concurrent('a process without a Redis', () => {
  test('is turned away where there is a domain', async () => {
    const store = await open();
    await requireNoDomain(store);
    await joinDomain(store, redis().isCarried);
    await expect(requireNoDomain(store)).rejects.toThrow('REDIS_URL is not set, but');
  });

  test('may end the domain where nobody lives there, and not where somebody does', async () => {
    const store = await open();
    await leaveDomain(store);
    const domain = await joinDomain(store, redis().isCarried);
    const { watch } = live(store, domain);
    await expect(leaveDomain(store)).rejects.toThrow('is running; stop them all first');
    await watch.stop();
    await leaveDomain(store);
    await requireNoDomain(store);
    expect(Object.keys(await store.readRegistry())).not.toContain('domainClaim');
  });
});
