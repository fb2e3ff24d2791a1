/**
 * What every KeyStore must do, bare or behind a cache: one case for each promise of src/storage/key-store.ts. A back
 * end's own test file is one call. A divergence found anywhere becomes a case here.
 */

import { describe, onTestFinished } from 'vitest';
import type { KeyStore } from '../../src/storage/key-store.ts';
import type { MovableStore, OpenOptions } from '../../src/storage/movable-store.ts';
import { changeCases } from './cases/changes.ts';
import { childCases } from './cases/children.ts';
import { durabilityCases } from './cases/durability.ts';
import { eventCases } from './cases/events.ts';
import { filterCases } from './cases/filters.ts';
import { insertCases } from './cases/inserts.ts';
import { lifeCases } from './cases/life.ts';
import { listingCases } from './cases/listing.ts';
import { interruptionCases, movingCases } from './cases/moving.ts';
import { ownerCases } from './cases/owners.ts';
import { pepperCases } from './cases/peppers.ts';
import { requestCases } from './cases/requests.ts';
import { secretCases } from './cases/secrets.ts';
import { usageCases } from './cases/usage.ts';
import { valueCases } from './cases/values.ts';

/** A store as a back end's test file hands it over, with nothing in it but its registry. */
export interface Opened {
  readonly store: KeyStore;
  /** Closes the store and opens what it left behind; absent where nothing outlives the closing. */
  reopen?(options?: OpenOptions): Promise<KeyStore>;
  /** Closes what is still open and removes what was stored. Called once, after each case. */
  discard(): Promise<void>;
}

/** Opens a store for one case; it is discarded when the case has ended. */
export type OpenForCase<What = Opened> = () => Promise<What>;

/**
 * Registers the suite.
 *
 * @param open gives a fresh store each time.
 * @param options `durable: false` for a store that does not outlive its closing; it has no `reopen`. `movable: false` for
 *   one that is no MovableStore. `all: false` leaves out what goes through a cache untouched.
 */
export function keyStoreConformance(
  name: string,
  open: () => Promise<Opened>,
  {
    durable = true,
    movable = true,
    all = true,
  }: { readonly durable?: boolean; readonly movable?: boolean; readonly all?: boolean } = {},
): void {
  const opened: OpenForCase = async () => {
    const one = await open();
    onTestFinished(() => one.discard());
    return one;
  };
  const fresh: OpenForCase<KeyStore> = async () => (await opened()).store;

  describe(`KeyStore: ${name}`, () => {
    insertCases(fresh);
    secretCases(fresh);
    changeCases(fresh);
    valueCases(fresh);
    ownerCases(fresh);
    eventCases(fresh);
    lifeCases(fresh);
    if (all) {
      requestCases(fresh);
      childCases(fresh);
      listingCases(fresh);
      filterCases(fresh);
      usageCases(fresh);
      pepperCases(fresh);
    }
    if (movable) movingCases(async () => (await fresh()) as MovableStore);
    if (durable) durabilityCases(opened);
    if (durable && movable) interruptionCases(opened);
  });
}
