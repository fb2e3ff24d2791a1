/** Copies that are kept true over a Redis: what a replica is made of, and how it joins the others. */

import { setTimeout } from 'node:timers/promises';
import { CachedKeyStore, type CacheSizes } from '../storage/cache/memory.ts';
import type { KeyStore } from '../storage/key-store.ts';
import { RedisLink, RedisUnusable } from '../storage/redis/link.ts';
import { RedisSlots } from '../storage/redis/slots.ts';
import { StoreUnusable } from '../storage/unusable.ts';
import type { Log } from '../telemetry/log.ts';
import { Trouble } from '../telemetry/trouble.ts';
import { DomainWatch, joinDomain } from './domain.ts';
import { EpochNaming } from './epoch.ts';
import { ChangeFeed } from './feed.ts';
import { Replica } from './replica.ts';

/** Milliseconds that a start waits for Redis. Without it the service is slower, but right. */
const START_MS = 2000;
const LOOK_MS = 10;
/** Milliseconds between two tries to join the others later than at the start. */
const LATER_MS = 100;
const ANOTHER_REDIS =
  'other replicas over this store share another Redis, or none; restart this one with their REDIS_URL';

/** @throws StoreUnusable, RedisUnusable, Failure `unavailable`. */
export async function overRedis(
  store: KeyStore,
  url: string,
  sizes: CacheSizes,
  log: Log,
  onConfirmed: (ms: number) => void,
): Promise<{
  readonly cached: CachedKeyStore;
  readonly spread: Replica;
  readonly feed: ChangeFeed;
  readonly replica: Replica;
  readonly stop: () => Promise<void>;
}> {
  // Errors come with each try to connect, of several kinds in turn.
  const trouble = new Trouble({
    tell(err) {
      if (err instanceof RedisUnusable) log.error({ err }, 'this Redis cannot be used');
      else log.warn({ err }, 'Redis is away or does not answer');
    },
    over: () => log.info('Redis answers again'),
  });
  const onError = (error: unknown) => trouble.happened(error);
  const { macKey } = await store.readRegistry();
  const link = new RedisLink(url, undefined, onError, () => trouble.ended());
  const slots = new RedisSlots(link, macKey, Date.now);
  const naming = new EpochNaming(store, link);
  const replica: Replica = new Replica({
    link,
    memory: { drop: (name) => cached.drop(name), clear: () => cached.clear() },
    isOurs: async () => watch?.isOurs(true) ?? false,
    isNamed: (epoch, knownFor) => naming.names(epoch, knownFor),
    onError,
    onConfirmed,
    onRemoved: (id) => log.warn({ replica: id }, 'another replica has gone silent and was taken off'),
    onEntries: (entries) => feed.append(entries),
    onMissed: () => feed.restart({ epoch: replica.epoch, number: replica.position }),
  });
  const feed = new ChangeFeed(() => replica.held);
  const cached = new CachedKeyStore(store, { sizes, lease: replica, shared: slots });
  let watch: DomainWatch | undefined;
  let stopped = false;
  const join = async (): Promise<boolean> => {
    const domain = await joinDomain(store, (domain) => link.carries(domain));
    if (domain === undefined || stopped) return false;
    link.enter(domain);
    watch = new DomainWatch({
      store,
      domain,
      isFollowing: () => replica.held,
      onLost() {
        log.error(ANOTHER_REDIS);
        replica.forgo();
      },
    });
    replica.start();
    log.info({ replica: replica.id }, 'sharing a Redis with the other replicas');
    return true;
  };
  // Of a Redis that could not be asked at the start nothing is known: it may be another one than that of the others.
  const joinLater = async (): Promise<void> => {
    while (!stopped) {
      await setTimeout(LATER_MS, undefined, { ref: false });
      if (!link.connected) continue;
      try {
        if (await join()) return;
      } catch (error) {
        if (error instanceof StoreUnusable) return log.error(ANOTHER_REDIS);
        onError(error);
      }
    }
  };
  const stop = async () => {
    stopped = true;
    await watch?.stop();
    await replica.stop();
    await link.close();
  };
  try {
    await reachedWithin(START_MS, link, () => link.connected);
    const joined = await join();
    // Redis with replicas gives no lease for longer than a start should take.
    const soon = () => link.connected && link.settleMs === 0;
    if (joined) await reachedWithin(START_MS, link, () => replica.held || !soon());
    else void joinLater();
  } catch (error) {
    await stop();
    throw error;
  }
  if (!link.connected)
    log.warn('Redis cannot be reached: each Verify reads the store, and changes cannot be confirmed');
  else if (!replica.held)
    log.warn(
      { settle_ms: link.settleMs },
      'Redis is there, but no lease yet: until then each Verify reads the store, and changes are not confirmed',
    );
  return { cached, spread: replica, feed, replica, stop };
}

/** Waits until something holds, for so long at most. @throws RedisUnusable as soon as that is known. */
async function reachedWithin(ms: number, link: RedisLink, holds: () => boolean): Promise<void> {
  const end = performance.now() + ms;
  while (!holds() && performance.now() < end) {
    if (link.unfit !== undefined) throw link.unfit;
    await setTimeout(LOOK_MS);
  }
}
