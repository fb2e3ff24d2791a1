/** Replicas of the caches in this process: each with its own memory and its own connections to one Redis. */

import { setTimeout } from 'node:timers/promises';
import type { Clocks } from '../../src/coherence/lease.ts';
import { Replica, type ReplicaParts } from '../../src/coherence/replica.ts';
import { CachedKeyStore } from '../../src/storage/cache/memory.ts';
import type { KeyStore } from '../../src/storage/key-store.ts';
import { RedisLink } from '../../src/storage/redis/link.ts';
import { RedisSlots } from '../../src/storage/redis/slots.ts';

export interface CachedReplica {
  readonly replica: Replica;
  readonly link: RedisLink;
  /** The store behind the caches of this replica. Another one takes the place of the one before. */
  over(store: KeyStore): CachedKeyStore;
  stop(): Promise<void>;
}

export const SECRET = 'a secret of the store';
const SIZES = { secrets: 1_000_000, keys: 1_000_000, owners: 1_000_000 };

export interface ReplicaOptions {
  readonly clocks?: Clocks;
  /** Puts something between the replica and Redis. */
  readonly behind?: (link: RedisLink) => ReplicaParts['link'];
  readonly isOurs?: ReplicaParts['isOurs'];
}

/** Resolves when the replica holds a lease. */
export async function startReplica(
  url: string,
  domain: string,
  { clocks, behind = (link) => link, isOurs }: ReplicaOptions = {},
): Promise<CachedReplica> {
  const link = new RedisLink(url, domain, () => undefined);
  let cached: CachedKeyStore | undefined;
  const replica = new Replica({
    link: behind(link),
    memory: { drop: (name) => cached?.drop(name), clear: () => cached?.clear() },
    ...(clocks === undefined ? {} : { clocks }),
    ...(isOurs === undefined ? {} : { isOurs }),
  });
  replica.start();
  await leased(replica);
  return {
    replica,
    link,
    over(store) {
      const shared = new RedisSlots(link, SECRET, Date.now);
      cached = new CachedKeyStore(store, { sizes: SIZES, lease: replica, shared });
      return cached;
    },
    async stop() {
      await replica.stop();
      await link.close();
    },
  };
}

export async function leased(replica: Replica): Promise<void> {
  const end = performance.now() + 20_000;
  while (!replica.held) {
    if (performance.now() > end) throw new Error('the replica holds no lease');
    await setTimeout(5);
  }
}
