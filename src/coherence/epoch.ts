/**
 * The epoch that counts. An epoch that was left may come back: the name in REDIS_URL leads to another server, and back to the
 * first one, which has kept its memory; or databases are swapped. It comes back with the copies of records that it had, and
 * knows nothing of what was changed meanwhile. So the store names the epoch in which replicas answer from memory, and one
 * that it does not name is ended: a new one is begun in its place, which no copy is of.
 */

import { randomText } from '../domain/token.ts';
import type { KeyStore } from '../storage/key-store.ts';
import type { RedisLink } from '../storage/redis/link.ts';
import { changeRegistry } from './registry.ts';

/** Milliseconds that whoever has begun an epoch has to name it, and more, by chance, so that not all begin one at once. */
const NAMING_MS = 150;

export class EpochNaming {
  readonly #store: Pick<KeyStore, 'readRegistry' | 'replaceRegistry'>;
  readonly #link: Pick<RedisLink, 'renew'>;

  constructor(store: Pick<KeyStore, 'readRegistry' | 'replaceRegistry'>, link: Pick<RedisLink, 'renew'>) {
    this.#store = store;
    this.#link = link;
  }

  /**
   * Whether the store names this epoch of Redis. Where it does not, another one is begun soon, and named.
   *
   * @param knownFor milliseconds for which this replica knows the epoch.
   * @throws where the store or Redis cannot be asked.
   */
  async names(epoch: string, knownFor: number): Promise<boolean> {
    const { epoch: named } = await this.#store.readRegistry();
    if (named === epoch) return true;
    if (named === undefined) {
      // The domain is new, and so is all that is in it.
      await changeRegistry(this.#store, (registry) => (registry.epoch === undefined ? { epoch } : undefined));
      return false;
    }
    if (knownFor < NAMING_MS * (1 + Math.random())) return false;
    const begun = await this.#link.renew(epoch, randomText('base62', 16));
    if (begun === undefined) return false;
    await changeRegistry(this.#store, (registry) =>
      registry.epoch === named ? { epoch: begun } : undefined,
    );
    return false;
  }
}
