/** Whether the settings have the peppers that the stored keys need. */

import { changeRegistry } from '../coherence/registry.ts';
import { hmacSha256, type Pepper } from '../domain/digest.ts';
import { Failure } from '../domain/failure.ts';
import type { KeyStore } from '../storage/key-store.ts';

/** What the check value of a pepper is the MAC of. No token: those have no spaces. */
const PEPPER_CHECK = 'check value of a pepper';

/**
 * Makes sure that every pepper which live keys were hashed under is there, and is the one that it was, and remembers
 * new ones by their check values. Without its pepper a key would read as unknown, which to its holder is a revocation.
 *
 * @param now milliseconds since 1970.
 * @throws Failure `precondition`, with the line for the operator.
 */
export async function requirePeppers(
  store: KeyStore,
  peppers: readonly Pepper[],
  now: number,
): Promise<void> {
  const checks = new Map(peppers.map(({ id, key }) => [id, hmacSha256(key, PEPPER_CHECK)]));
  const before = await readChecks(store);
  for (const id of await store.listPeppers()) {
    const check = checks.get(id);
    if (check !== undefined && check === (before.get(id) ?? check)) continue;
    const keys = await store.countKeysUnder(id, now);
    if (keys === 0) continue;
    throw wrongPeppers(
      check === undefined
        ? `GATEHOUSE_PEPPERS lacks the pepper "${id}", which live keys were hashed under (${keys})`
        : `GATEHOUSE_PEPPERS has another pepper as "${id}" than the one which live keys were hashed under (${keys})`,
    );
  }
  await changeRegistry(store, ({ pepperChecks = {} }) => {
    const seen = new Map(Object.entries(pepperChecks));
    const news = [...checks].filter(([id, check]) => seen.get(id) !== check);
    const [raced] = news.find(([id]) => seen.get(id) !== before.get(id)) ?? [];
    if (raced !== undefined) {
      throw wrongPeppers(`another process has just started with another pepper as "${raced}"`);
    }
    return news.length === 0 ? undefined : { pepperChecks: Object.fromEntries([...seen, ...news]) };
  });
}

async function readChecks(store: KeyStore): Promise<Map<string, string>> {
  const { pepperChecks = {} } = await store.readRegistry();
  return new Map(Object.entries(pepperChecks));
}

function wrongPeppers(message: string): Failure {
  return new Failure('precondition', 'NO_PEPPER', message);
}
