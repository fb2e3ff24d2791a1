/** What keeps this process's copies of records true, by what it shares with others: nothing, a store, or a store and a Redis. */

import { randomText } from '../domain/token.ts';
import { CachedKeyStore, type CacheSizes } from '../storage/cache/memory.ts';
import { ALONE, BLIND } from '../storage/cache/shared.ts';
import type { KeyStore } from '../storage/key-store.ts';
import { RedisLink, RedisUnusable } from '../storage/redis/link.ts';
import { RedisSlots } from '../storage/redis/slots.ts';
import type { Log } from '../telemetry/log.ts';
import { joinDomain, requireNoDomain } from './domain.ts';
import { ChangeFeed } from './feed.ts';
import { Replica } from './replica.ts';
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

/** Milliseconds that a start waits for Redis. Without it the service is slower, but right. */
const START_MS = 2000;
const LOOK_MS = 10;

/** @throws StoreUnusable, RedisUnusable, Failure `unavailable`. */
export async function startCoherence(
  store: KeyStore,
  settings: { readonly mongodbUri: string | undefined; readonly redisUrl: string | undefined },
  sizes: CacheSizes,
  log: Log,
): Promise<Coherence> {
  const now = Date.now;
  if (settings.redisUrl !== undefined) return withRedis(store, settings.redisUrl, sizes, log);
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

async function withRedis(store: KeyStore, url: string, sizes: CacheSizes, log: Log): Promise<Coherence> {
  const domain = await joinDomain(store);
  const { macKey } = await store.readRegistry();
  const link = new RedisLink(url, domain, onceEach(log));
  const slots = new RedisSlots(link, macKey, Date.now);
  const replica: Replica = new Replica({
    link,
    memory: { drop: (name) => cached.drop(name), clear: () => cached.clear() },
    onEntries: (entries) => feed.append(entries),
    onMissed: () => feed.restart({ epoch: replica.epoch, number: replica.position }),
  });
  const feed = new ChangeFeed(() => replica.held);
  const cached = new CachedKeyStore(store, { sizes, lease: replica, shared: slots });
  const stop = async () => {
    await replica.stop();
    await link.close();
  };
  replica.start();
  const end = performance.now() + START_MS;
  while (!replica.held && performance.now() < end) {
    if (link.unfit !== undefined) {
      await stop();
      throw link.unfit;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  if (!replica.held)
    log.warn('Redis cannot be reached: each Verify reads the store, and changes cannot be confirmed');
  return { cached, spread: replica, feed, replica, stop };
}

/** Errors come with each try to connect; a line for each kind, until another one comes, says as much. */
function onceEach(log: Log): (error: unknown) => void {
  let last = '';
  return (err) => {
    const text = err instanceof Error ? err.message : String(err);
    if (text === last) return;
    last = text;
    if (err instanceof RedisUnusable) log.error({ err }, 'this Redis cannot be used');
    else log.warn({ err }, 'Redis is away or does not answer');
  };
}
