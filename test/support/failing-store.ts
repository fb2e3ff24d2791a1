/** A store one of whose calls fails, once, as one does whose process or server went away. */

import { storeUnavailable } from '../../src/domain/failure.ts';
import type { KeyStore } from '../../src/storage/key-store.ts';

/** `before`: nothing was done. `after`: it was done, and nobody was told. */
export type Loss = 'before' | 'after';

export interface FailingStore {
  readonly store: KeyStore;
  /** The call number `at` from now on fails, the next one being 0. */
  arm(at: number, loss: Loss): void;
  /** From now on none fails. @returns whether the one that was to fail has been made. */
  disarm(): boolean;
}

export function failingStore(store: KeyStore): FailingStore {
  let left = -1;
  let loss: Loss = 'before';
  const wrapped = new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return async (...values: unknown[]) => {
        const fails = left-- === 0;
        if (left < 0) left = -1;
        if (fails && loss === 'before') throw storeUnavailable(new Error('away'));
        const answer: unknown = await Reflect.apply(value, target, values);
        if (fails) throw storeUnavailable(new Error('away'));
        return answer;
      };
    },
  });
  return {
    store: wrapped,
    arm(at, how) {
      left = at;
      loss = how;
    },
    disarm() {
      const made = left === -1;
      left = -1;
      return made;
    },
  };
}
