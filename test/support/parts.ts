/** The operations over a real store, without servers: for tests that stand between two steps of one call. */

import { onTestFinished } from 'vitest';
import { Changes } from '../../src/coherence/changes.ts';
import { Marking } from '../../src/coherence/marking.ts';
import type { Spread } from '../../src/coherence/spread.ts';
import type { Caller, CallOrigin } from '../../src/domain/caller.ts';
import { ensureKeyspaces, ensureRoot } from '../../src/keys/first-start.ts';
import type { KeyspaceDraft } from '../../src/keys/keyspaces.ts';
import type { Parts } from '../../src/keys/parts.ts';
import type { KeyStore } from '../../src/storage/key-store.ts';
import { Secrets } from '../../src/verification/secrets.ts';
import { UsageRecorder } from '../../src/verification/usage.ts';
import { Verifier } from '../../src/verification/verifier.ts';
import { openTestStore } from './test-store.ts';

export const ROOT_KEY = 'ghm_root-key-of-the-tests-0123456789-abcdef';

const fail = (error: unknown): never => {
  throw error;
};

/**
 * @param wrap puts something between the operations and the store.
 * @param onUnpublished told of an event that stays pending; without it the change fails, which no test overlooks.
 */
export async function makeParts(
  wrap: (store: KeyStore) => KeyStore = (store) => store,
  onUnpublished: (error: unknown) => void = fail,
  now: () => number = Date.now,
  spread?: Spread,
): Promise<Parts> {
  const parts = await partsOver(wrap(await openTestStore()), onUnpublished, now, spread);
  // Before the store is closed: what was registered last is called first.
  onTestFinished(async () => {
    await parts.marking.stop();
    await parts.usage.close();
  });
  return parts;
}

/** The operations over a store that is there. Whoever asks for them stops marking and usage. */
export async function partsOver(
  store: KeyStore,
  onUnpublished: (error: unknown) => void = fail,
  now: () => number = Date.now,
  spread?: Spread,
): Promise<Parts> {
  const usage = new UsageRecorder(store, fail);
  const secrets = new Secrets([]);
  const verifier = new Verifier({ cached: store, record: store, secrets, usage, now });
  const others = spread && { record: store, spread };
  const changes = new Changes(store, now, onUnpublished, others);
  const parts: Parts = {
    store,
    changes,
    marking: new Marking({ store, changes, now, onError: fail }),
    secrets,
    usage,
    verifier,
    now,
  };
  await ensureKeyspaces(parts);
  await ensureRoot(parts, ROOT_KEY);
  return parts;
}

/** A keyspace to make, all of whose keys' holders may manage their own owner's keys. */
export function draft(fields: Partial<KeyspaceDraft> = {}): KeyspaceDraft {
  return {
    id: 'shop',
    displayName: '',
    prefix: 'shop_',
    alphabet: 'base62',
    secretLength: 32,
    checksum: false,
    hash: 'sha256',
    displayLength: 8,
    keyDefaults: { metadata: {}, permissions: [] },
    selfServiceCallers: ['key'],
    selfServiceMayOutlive: false,
    ...fields,
  };
}

/** A call by the holder of a token. */
export async function callBy({ verifier }: Parts, token: string): Promise<CallOrigin> {
  const caller: Caller | undefined = await verifier.match(token, true);
  if (caller === undefined) throw new Error('the token opens no key');
  return { caller, requestId: 'test' };
}
