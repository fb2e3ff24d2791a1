/** The one way in which the registry changes: by compare-and-set, begun anew where another writer was first. */

import type { Registry } from '../domain/keyspace.ts';
import type { KeyStore } from '../storage/key-store.ts';

/**
 * @param edit gives the fields that change, from the registry as it is then, or undefined where there is nothing to
 *   change; what it throws ends the change.
 */
export async function changeRegistry(
  store: Pick<KeyStore, 'readRegistry' | 'replaceRegistry'>,
  edit: (
    registry: Registry,
  ) => { [Field in Exclude<keyof Registry, 'revision'>]?: Registry[Field] | undefined } | undefined,
): Promise<void> {
  for (;;) {
    const registry = await store.readRegistry();
    const fields = edit(registry);
    if (fields === undefined) return;
    const next = { ...registry, ...fields, revision: registry.revision + 1 };
    // What is undefined is taken away: no store keeps it.
    if (await store.replaceRegistry(next as Registry)) return;
  }
}
