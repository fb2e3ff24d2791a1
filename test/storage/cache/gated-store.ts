import type { KeyStore } from '../../../src/storage/key-store.ts';

/** The methods whose answers a test holds back, and how often each was called. */
export interface Gate {
  readonly store: KeyStore;
  /** Calls of each method so far. */
  readonly calls: Readonly<Partial<Record<keyof KeyStore, number>>>;
  /**
   * Holds back the next call of the method: it is carried out at once, but its answer waits.
   * @returns lets the answer through; with an error, rejects the call with it although it was carried out.
   */
  hold(method: keyof KeyStore): (error?: Error) => void;
}

/** A store in front of a real one, whose answers can be held on their way back, as a slow network does. */
export function gated(inner: KeyStore): Gate {
  const calls: Record<string, number> = {};
  const held = new Map<PropertyKey, Promise<void>>();
  const store = new Proxy(inner, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name, target);
      if (typeof method !== 'function') return method;
      return async (...values: unknown[]) => {
        calls[String(name)] = (calls[String(name)] ?? 0) + 1;
        const gate = held.get(name);
        held.delete(name);
        const answer: unknown = await method.apply(target, values);
        await gate;
        return answer;
      };
    },
  });
  return {
    store,
    calls,
    hold(method) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      // Its rejection is the call's, and the call may not have come to it yet.
      promise.catch(() => undefined);
      held.set(method, promise);
      return (error) => (error === undefined ? resolve() : reject(error));
    },
  };
}
