/** The operations over a real store in memory, without servers: for tests that stand between two steps of one call. */

import { Changes } from '../../src/coherence/changes.ts';
import type { Caller, CallOrigin } from '../../src/domain/caller.ts';
import { ensureKeyspaces, ensureRoot } from '../../src/keys/first-start.ts';
import type { Parts } from '../../src/keys/parts.ts';
import type { KeyStore } from '../../src/storage/key-store.ts';
import { openSqliteStore } from '../../src/storage/sqlite/open.ts';
import { Secrets } from '../../src/verification/secrets.ts';
import { UsageRecorder } from '../../src/verification/usage.ts';
import { Verifier } from '../../src/verification/verifier.ts';

export const ROOT_KEY = 'ghm_root-key-of-the-tests-0123456789-abcdef';

/** @param wrap puts something between the operations and the store. */
export async function makeParts(wrap: (store: KeyStore) => KeyStore = (store) => store): Promise<Parts> {
  const store = wrap(await openSqliteStore(':memory:'));
  const now = Date.now;
  const fail = (error: unknown): never => {
    throw error;
  };
  const usage = new UsageRecorder(store, fail);
  const secrets = new Secrets([]);
  const verifier = new Verifier({ cached: store, record: store, secrets, usage, now });
  const parts: Parts = { store, changes: new Changes(store, now, fail), secrets, usage, verifier, now };
  await ensureKeyspaces(parts);
  await ensureRoot(parts, ROOT_KEY);
  return parts;
}

/** A call by the holder of a token. */
export async function callBy({ verifier }: Parts, token: string): Promise<CallOrigin> {
  const caller: Caller | undefined = await verifier.match(token, true);
  if (caller === undefined) throw new Error('the token opens no key');
  return { caller, requestId: 'test' };
}
