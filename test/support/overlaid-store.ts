/** A store some of whose methods are a test's own. */

import type { KeyStore } from '../../src/storage/key-store.ts';

/** The store with `methods` in front of its own; the rest goes to the store itself. */
export function overlaidStore(store: KeyStore, methods: Partial<KeyStore>): KeyStore {
  return new Proxy(store, {
    get(target, name) {
      const own: unknown = Reflect.get(methods, name);
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
