/**
 * Argon2id, bounded: each check takes milliseconds of a core, so without bounds one known locator with
 * random secrets would stop the service. Work is bounded in all and for each locator, and what is over
 * the bound is shed at once.
 */

import { createHmac, createSecretKey, randomBytes } from 'node:crypto';
import { hash, verify } from '@node-rs/argon2';
import { LRUCache } from 'lru-cache';
import { Failure } from '../domain/failure.ts';

/** OWASP's second recommendation: memory in KiB. `algorithm` 2 is Argon2id (the enum is empty at run time). */
const PARAMETERS = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

/** 64 checks at about 6 ms on two cores: the last one waits about 200 ms. */
const MAX_AT_WORK = 64;
const MAX_PER_LOCATOR = 4;
const REMEMBERED = 10_000;

export class Argon2 {
  #atWork = 0;
  readonly #perLocator = new Map<string, number>();
  /** Checks under way by the token they check, so that many callers of one cold key do the work once. */
  readonly #underWay = new Map<string, Promise<boolean>>();
  /** Tokens that were accepted, under a keyed hash: the locator alone proves nothing. Memory only. */
  readonly #accepted = new LRUCache<string, true>({ max: REMEMBERED });
  readonly #memoryKey = createSecretKey(randomBytes(32));

  /** The PHC string of a token. @throws Failure `exhausted` where too much is under way. */
  async hash(locator: string, token: string): Promise<string> {
    return this.#bounded(locator, () => hash(token, PARAMETERS));
  }

  /** True where the token is known to be the one behind the PHC string; undefined where that takes work. */
  remembers(phc: string, token: string): true | undefined {
    return this.#accepted.get(this.#nameOf(phc, token));
  }

  #nameOf(phc: string, token: string): string {
    return createHmac('sha256', this.#memoryKey).update(`${phc}\n${token}`).digest('base64url');
  }

  /** Whether the token is the one behind the PHC string. @throws Failure `exhausted` where too much is under way. */
  async matches(phc: string, locator: string, token: string): Promise<boolean> {
    const name = this.#nameOf(phc, token);
    if (this.#accepted.has(name)) return true;
    const underWay = this.#underWay.get(name);
    if (underWay !== undefined) return underWay;

    const check = this.#bounded(locator, () => verify(phc, token));
    this.#underWay.set(name, check);
    try {
      const matches = await check;
      if (matches) this.#accepted.set(name, true);
      return matches;
    } finally {
      this.#underWay.delete(name);
    }
  }

  async #bounded<T>(locator: string, work: () => Promise<T>): Promise<T> {
    const forLocator = this.#perLocator.get(locator) ?? 0;
    if (this.#atWork >= MAX_AT_WORK || forLocator >= MAX_PER_LOCATOR) {
      throw new Failure('exhausted', 'HASHING_BUSY', 'too many ARGON2ID keys are being checked; try again', {
        retryAfterMs: 250,
      });
    }
    this.#atWork++;
    this.#perLocator.set(locator, forLocator + 1);
    try {
      return await work();
    } finally {
      this.#atWork--;
      const left = (this.#perLocator.get(locator) ?? 1) - 1;
      if (left === 0) this.#perLocator.delete(locator);
      else this.#perLocator.set(locator, left);
    }
  }
}
