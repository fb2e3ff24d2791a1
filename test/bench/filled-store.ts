/** Stores with many keys for the benches, filled past the API: a million of them are a matter of minutes. */

import { sha256 } from '../../src/domain/digest.ts';
import { builtInKeyspaces, type Keyspace } from '../../src/domain/keyspace.ts';
import { mintToken, randomText } from '../../src/domain/token.ts';
import { BATCH, type MovableStore } from '../../src/storage/movable-store.ts';
import { openStore } from '../../src/storage/open.ts';
import { sampleKey, sampleSecret, T0 } from '../conformance/samples.ts';

/** Keys that the embedded store writes in one transaction. */
const TOGETHER = 20_000;

/** The keyspace `default` of every store. */
export const DEFAULT_KEYSPACE = builtInKeyspaces(T0).find(({ id }) => id === 'default') as Keyspace;

export interface Filling {
  readonly count: number;
  /** `default` unless told; another one is stored as well. */
  readonly keyspace?: Keyspace;
  /** Of each key; one unless told. */
  readonly permissions?: readonly string[];
}

/**
 * Adds keys to a store that a service has opened before, and that nobody has open now.
 *
 * @param location as `openStore` takes it.
 * @returns their tokens, in the order in which they were stored.
 */
export async function fill(location: string, filling: Filling): Promise<string[]> {
  const store = await openStore(location, { existing: true });
  try {
    return await fillStore(store, filling);
  } finally {
    await store.close();
  }
}

async function fillStore(store: MovableStore, filling: Filling): Promise<string[]> {
  const { count, keyspace = DEFAULT_KEYSPACE, permissions = ['docs:*'] } = filling;
  if (keyspace !== DEFAULT_KEYSPACE) await store.putRecords('keyspace', [keyspace]);
  const tokens: string[] = [];
  while (tokens.length < count) {
    const size = Math.min(TOGETHER, count - tokens.length);
    const made = Array.from({ length: size }, (_, index) =>
      sampleOf(keyspace, tokens.length + index, permissions),
    );
    const writes: Promise<void>[] = [];
    for (let from = 0; from < size; from += BATCH) {
      const batch = made.slice(from, from + BATCH);
      const [secrets, keys] = [batch.map(({ secret }) => secret), batch.map(({ key }) => key)];
      writes.push(store.putRecords('secret', secrets), store.putRecords('key', keys));
    }
    await Promise.all(writes);
    for (const { token } of made) tokens.push(token);
  }
  return tokens;
}

/** As large as CreateKey makes them. */
function sampleOf(keyspace: Keyspace, index: number, permissions: readonly string[]) {
  const token = mintToken(keyspace);
  const key = sampleKey({
    id: `key_${randomText('base62', 22)}`,
    generation: randomText('base62', 16),
    // As keys come in life: the store's indexes by time grow at their end.
    createTime: T0 + index,
    keyspace: keyspace.id,
    name: `bench ${index}`,
    displayPrefix: token.slice(0, keyspace.displayLength),
    owner: { kind: 'user', id: 'u1' },
    permissions,
  });
  return { token, key, secret: sampleSecret(key, { lookup: sha256(token) }) };
}
