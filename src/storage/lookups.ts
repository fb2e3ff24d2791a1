/**
 * Lookups of secrets, few at one time: anyone may have made-up keys looked up, which must neither keep other reads from the
 * store nor hold the places of calls while the store is slow or away.
 */

import { Failure } from '../domain/failure.ts';
import type { Secret } from '../domain/key.ts';
import type { KeyStore } from './key-store.ts';

const RUNNING = 64;
/** With those that run far fewer than the calls that may be under way at once (rpc/running.ts). */
const WAITING = 128;
/** Milliseconds. With the time that a Verify's read may take (500), still before callers give up. */
const WAIT_MS = 200;
const RETRY_MS = 250;

export class Lookups {
  #running = 0;
  /** What begins each that waits, in order. */
  readonly #waiting = new Set<() => void>();

  /** @throws Failure `exhausted` where too many wait, or this one has waited for too long. */
  async run<Answer>(look: () => Promise<Answer>): Promise<Answer> {
    if (this.#running < RUNNING) this.#running++;
    else await this.#turn();
    try {
      return await look();
    } finally {
      const [next] = this.#waiting;
      // Its place goes over to the next one.
      if (next === undefined) this.#running--;
      else next();
    }
  }

  #turn(): Promise<void> {
    if (this.#waiting.size >= WAITING) throw busy();
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer);
        this.#waiting.delete(begin);
      };
      const begin = () => {
        leave();
        resolve();
      };
      const timer = setTimeout(() => {
        leave();
        reject(busy());
      }, WAIT_MS);
      this.#waiting.add(begin);
    });
  }
}

/**
 * A store whose lookups of secrets are few at one time; all else is as before.
 *
 * @param known a secret that is in memory. It is never changed, so it need not be looked up: whoever called before goes on
 *   calling, however many keys are made up.
 */
export function withBoundedLookups(
  store: KeyStore,
  known: (keyspace: string, lookup: string) => Secret | undefined,
): KeyStore {
  const lookups = new Lookups();
  const findSecret: KeyStore['findSecret'] = async (keyspace, lookup) =>
    known(keyspace, lookup) ?? lookups.run(() => store.findSecret(keyspace, lookup));
  return new Proxy(store, {
    get(target, name) {
      if (name === 'findSecret') return findSecret;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function busy(): Failure {
  return new Failure('exhausted', 'LOOKUPS_BUSY', 'too many unknown keys are being looked up; try again', {
    retryAfterMs: RETRY_MS,
  });
}
