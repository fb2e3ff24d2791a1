/**
 * Which replicas belong together: those over one store share one Redis, or none.
 *
 * The store names a domain, and the Redis that its replicas share carries that name. One that does not is new, or has lost
 * its data, or is another one. So whoever is started with it asks the replicas of the domain, through the store, whether any
 * of them is alive: one that follows its log says no to whoever would take its domain away.
 */

import { setTimeout } from 'node:timers/promises';
import type { Registry } from '../domain/keyspace.ts';
import { randomText } from '../domain/token.ts';
import type { KeyStore } from '../storage/key-store.ts';
import { StoreUnusable } from '../storage/unusable.ts';
import { LEASE_MS } from './lease.ts';
import { changeRegistry } from './registry.ts';

type RegistryStore = Pick<KeyStore, 'readRegistry' | 'replaceRegistry'>;

/** Milliseconds between two looks of a replica at the registry. */
const LOOK_MS = 1000;
/** Milliseconds in which a replica that is alive has said no, or noticed that the domain is another one, and lost its lease. */
const ANSWER_MS = 2 * LOOK_MS + LEASE_MS;
/** Milliseconds that replicas which saw their Redis lose its data need to begin an epoch there. */
const RETURN_MS = 1000;
const POLL_MS = 50;

/** Whether the process's Redis carries a domain; undefined: it cannot be asked now. */
type IsCarried = (domain: string) => Promise<boolean | undefined>;

/**
 * The domain that a process with a Redis belongs to; undefined where that Redis cannot be asked, and might be another one
 * than that of the replicas over this store.
 *
 * @throws StoreUnusable where the replicas over this store share another Redis. Failure `unavailable`.
 */
export async function joinDomain(store: RegistryStore, isCarried: IsCarried): Promise<string | undefined> {
  const { domain } = await store.readRegistry();
  if (domain !== undefined) {
    const carried = await isCarriedSoon(domain, isCarried);
    if (carried !== false) return carried && domain;
  }
  if (domain !== undefined && !(await isAbandoned(store, domain))) {
    // Whoever said no may be one that was started at the same time, and has begun an epoch there meanwhile.
    const carried = await isCarried(domain);
    if (carried !== false) return carried && domain;
    throw new StoreUnusable(
      'REDIS_URL is not the Redis that the replicas over this store share; set it to the same one for all of them',
    );
  }
  const made = randomText('base62', 16);
  await changeRegistry(store, (registry) =>
    isFree(registry, domain) ? { domain: made, domainClaim: undefined, epoch: undefined } : undefined,
  );
  // Of two that are started at once one has made it, and the other one's Redis has to be the same.
  return (await store.readRegistry()).domain === made ? made : joinDomain(store, isCarried);
}

/** @throws StoreUnusable where replicas over this store share a Redis: this one would not hear of their changes, nor they of its. */
export async function requireNoDomain(store: RegistryStore): Promise<void> {
  if ((await store.readRegistry()).domain === undefined) return;
  throw new StoreUnusable(
    'REDIS_URL is not set, but the replicas over this store share a Redis; set it to the same one for all of them, or stop them all and start one with REDIS_URL=none to share none from then on',
  );
}

/** Makes the replicas over this store share no Redis. @throws StoreUnusable where one of them is alive. */
export async function leaveDomain(store: RegistryStore): Promise<void> {
  const { domain } = await store.readRegistry();
  if (domain === undefined) return;
  if (!(await isAbandoned(store, domain))) {
    throw new StoreUnusable(
      'REDIS_URL is none, but a replica over this store that shares a Redis with others is running; stop them all first',
    );
  }
  let left = false;
  await changeRegistry(store, (registry) => {
    left = isFree(registry, domain);
    return left ? { domain: undefined, domainClaim: undefined, epoch: undefined } : undefined;
  });
  if (!left) await leaveDomain(store);
}

/** Whether it is still as it was asked for: whoever said no at the last moment has taken the question off. */
function isFree(registry: Registry, domain: string | undefined): boolean {
  return registry.domain === domain && (domain === undefined || registry.domainClaim !== undefined);
}

async function isCarriedSoon(domain: string, isCarried: IsCarried): Promise<boolean | undefined> {
  const end = performance.now() + RETURN_MS;
  for (;;) {
    const carried = await isCarried(domain);
    if (carried !== false || performance.now() > end) return carried;
    await setTimeout(POLL_MS);
  }
}

/** Whether no replica of the domain says that it is alive. */
async function isAbandoned(store: RegistryStore, domain: string): Promise<boolean> {
  const claim = randomText('base62', 16);
  // Of several that ask at once each has the answer to its own question, or that of a later one.
  await changeRegistry(store, () => ({ domainClaim: claim }));
  await setTimeout(ANSWER_MS);
  const registry = await store.readRegistry();
  return registry.domain !== domain || registry.domainClaim !== undefined;
}

export interface DomainWatchParts {
  readonly store: RegistryStore;
  readonly domain: string;
  /** Whether this replica follows the log of its domain at this moment. */
  readonly isFollowing: () => boolean;
  /** Told once, when the domain was given up by others: nobody tells this replica of changes any more. */
  readonly onLost: () => void;
}

/** Looks at the registry each second. A store that cannot be read says nothing: nobody can take the domain away there. */
export class DomainWatch {
  readonly #parts: DomainWatchParts;
  readonly #timer: NodeJS.Timeout;
  #looking: Promise<unknown> | undefined;
  #lost = false;

  constructor(parts: DomainWatchParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => {
      this.#looking ??= this.isOurs(parts.isFollowing())
        // The next look is a second away.
        .catch(() => undefined)
        .finally(() => {
          this.#looking = undefined;
        });
    }, LOOK_MS);
    this.#timer.unref();
  }

  /**
   * Whether this replica still belongs to the domain of the store.
   *
   * @param objects whether to say no to whoever asks for the domain; where that comes too late, it is not ours.
   * @throws Failure `unavailable`.
   */
  async isOurs(objects: boolean): Promise<boolean> {
    const registry = await this.#parts.store.readRegistry();
    if (registry.domain !== this.#parts.domain) {
      this.#lose();
      return false;
    }
    if (registry.domainClaim === undefined || !objects) return true;
    const { domainClaim: _, ...rest } = registry;
    return this.#parts.store.replaceRegistry({ ...rest, revision: registry.revision + 1 });
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  #lose(): void {
    if (this.#lost) return;
    this.#lost = true;
    clearInterval(this.#timer);
    this.#parts.onLost();
  }
}
