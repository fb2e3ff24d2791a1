/** What keeps this process's copies of records true, by what it shares with others: nothing, a store, or a store and a Redis. */

import { randomText } from '../domain/token.ts';
import { CachedKeyStore, type CacheSizes } from '../storage/cache/memory.ts';
import { ALONE, BLIND } from '../storage/cache/shared.ts';
import type { KeyStore } from '../storage/key-store.ts';
import type { Log } from '../telemetry/log.ts';
import { leaveDomain, requireNoDomain } from './domain.ts';
import { ChangeFeed } from './feed.ts';
import type { Replica } from './replica.ts';
import { type Spread, spreadAmongBlind, spreadHere } from './spread.ts';

export interface Coherence {
  readonly cached: CachedKeyStore;
  readonly spread: Spread;
  /** Absent where changes by other processes are not seen. */
  readonly feed?: ChangeFeed;
  /** Absent where there is no Redis. */
  readonly replica?: Replica;
  stop(): Promise<void>;
}

/**
 * @param onConfirmed told of each change that all replicas confirmed, and of the milliseconds that this took.
 * @throws StoreUnusable, RedisUnusable, Failure `unavailable`.
 */
export async function startCoherence(
  store: KeyStore,
  settings: { readonly mongodbUri: string | undefined; readonly redisUrl: string | undefined },
  sizes: CacheSizes,
  log: Log,
  onConfirmed: (ms: number) => void,
): Promise<Coherence> {
  const now = Date.now;
  if (settings.redisUrl === 'none') await leaveDomain(store);
  else if (settings.redisUrl !== undefined) {
    // Loaded here: the drivers take a fifth of a start, and most of them are made without.
    const { overRedis } = await import('./over-redis.ts');
    return overRedis(store, settings.redisUrl, sizes, log, onConfirmed);
  }
  await requireNoDomain(store);
  const stop = async () => {};
  if (settings.mongodbUri === undefined) {
    const feed = new ChangeFeed(() => true);
    // What was told before a restart is not remembered: this life of the log has a name of its own.
    feed.restart({ epoch: randomText('base62', 16), number: 0 });
    const cached = new CachedKeyStore(store, { sizes, lease: ALONE });
    return { cached, spread: spreadHere(feed, now), feed, stop };
  }
  // Others may write, and what is in memory may be old: nothing is kept.
  const cached = new CachedKeyStore(store, { sizes, lease: BLIND });
  return { cached, spread: spreadAmongBlind(store, now), stop };
}
