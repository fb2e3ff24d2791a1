/** From a token to the stored secret and back: hashing new tokens, finding and matching known ones. */

import { hmacSha256, locatorOf, type Pepper, sha256 } from '../domain/digest.ts';
import { Failure } from '../domain/failure.ts';
import type { Secret } from '../domain/key.ts';
import type { Keyspace } from '../domain/keyspace.ts';
import type { KeyStore } from '../storage/key-store.ts';
import { Argon2 } from './argon2.ts';

/** What of a secret depends on its token. */
type Sealed = Pick<Secret, 'lookup' | 'algorithm' | 'pepperId' | 'hash'>;

export class Secrets {
  readonly #peppers: readonly Pepper[];
  readonly #argon2 = new Argon2();

  /** @param peppers the first one hashes new HMAC keys, the others still verify. */
  constructor(peppers: readonly Pepper[]) {
    this.#peppers = peppers;
  }

  /** Whether new keys can be hashed with HMAC_SHA256. */
  get hasPepper(): boolean {
    return this.#peppers.length > 0;
  }

  /** Hashes a new token. What comes back does not give the token back. */
  async seal(keyspace: Keyspace, token: string): Promise<Sealed> {
    switch (keyspace.hash) {
      case 'sha256':
        return { algorithm: 'sha256', lookup: sha256(token) };
      case 'hmac-sha256': {
        const [pepper] = this.#peppers;
        if (pepper === undefined) {
          throw new Failure(
            'precondition',
            'NO_PEPPER',
            'GATEHOUSE_PEPPERS is not set, so no HMAC_SHA256 key can be made',
          );
        }
        return { algorithm: 'hmac-sha256', lookup: hmacSha256(pepper.key, token), pepperId: pepper.id };
      }
      case 'argon2id': {
        const locator = locatorOf(keyspace.prefix, token);
        return { algorithm: 'argon2id', lookup: locator, hash: await this.#argon2.hash(locator, token) };
      }
    }
  }

  /** The stored secret that the token opens, or undefined. */
  async find(store: KeyStore, keyspace: Keyspace, token: string): Promise<Secret | undefined> {
    switch (keyspace.hash) {
      case 'sha256':
        return store.findSecret(keyspace.id, sha256(token));
      case 'hmac-sha256':
        for (const pepper of this.#peppers) {
          const secret = await store.findSecret(keyspace.id, hmacSha256(pepper.key, token));
          if (secret !== undefined) return secret;
        }
        return undefined;
      case 'argon2id': {
        const locator = locatorOf(keyspace.prefix, token);
        const secret = await store.findSecret(keyspace.id, locator);
        if (secret?.hash === undefined) return undefined;
        return (await this.#argon2.matches(secret.hash, locator, token)) ? secret : undefined;
      }
    }
  }
}
