/** Which replicas belong together: those over one store, and they must share one Redis or none. */

import { randomText } from '../domain/token.ts';
import type { KeyStore } from '../storage/key-store.ts';
import { StoreUnusable } from '../storage/unusable.ts';
import { changeRegistry } from './registry.ts';

/** The random id that the replicas over this store share in Redis. Made by the first that is started with one. */
export async function joinDomain(store: KeyStore): Promise<string> {
  const made = randomText('base62', 16);
  await changeRegistry(store, ({ domain }) => (domain === undefined ? { domain: made } : undefined));
  return (await store.readRegistry()).domain ?? made;
}

/** @throws StoreUnusable where replicas over this store share a Redis: this one would not hear of their changes, nor they of its. */
export async function requireNoDomain(store: KeyStore): Promise<void> {
  if ((await store.readRegistry()).domain === undefined) return;
  throw new StoreUnusable(
    'REDIS_URL is not set, but the replicas over this store share a Redis; set it to the same one for all of them',
  );
}
