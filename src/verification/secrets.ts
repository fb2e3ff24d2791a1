/** From a token to the stored secret and back: hashing new tokens, finding and matching known ones. */

import { hmacSha256, locatorOf, type Pepper, sha256 } from '../domain/digest.ts';
import { Failure } from '../domain/failure.ts';
import type { Secret } from '../domain/key.ts';
import type { Keyspace } from '../domain/keyspace.ts';
import { Argon2 } from './argon2.ts';
import type { Records } from './reading.ts';

/** What of a secret depends on its token. */
type Sealed = Pick<Secret, 'lookup' | 'algorithm' | 'pepperId' | 'hash'>;

export class Secrets {
  readonly #peppers: readonly Pepper[];
  readonly argon2 = new Argon2();

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
        return { algorithm: 'argon2id', lookup: locator, hash: await this.argon2.hash(locator, token) };
      }
    }
  }

  /** What the secret of a token is found by, where one text is enough and proves that it is the token's. */
  lookupOf({ hash }: Keyspace, token: string): string | undefined {
    if (hash === 'sha256') return sha256(token);
    const [pepper] = this.#peppers;
    return hash === 'hmac-sha256' && pepper !== undefined ? hmacSha256(pepper.key, token) : undefined;
  }

  /** The stored secret that the token opens; null where there is none, undefined where a record was not at hand. */
  find(records: Records, keyspace: Keyspace, token: string): Secret | null | undefined {
    switch (keyspace.hash) {
      case 'sha256':
        return records.secret(keyspace.id, sha256(token));
      case 'hmac-sha256':
        for (const pepper of this.#peppers) {
          const secret = records.secret(keyspace.id, hmacSha256(pepper.key, token));
          if (secret !== null) return secret;
        }
        return null;
      case 'argon2id': {
        const locator = locatorOf(keyspace.prefix, token);
        const secret = records.secret(keyspace.id, locator);
        if (secret == null) return secret;
        if (secret.hash === undefined) return null;
        const matches = records.matches(secret.hash, locator, token);
        return matches === undefined ? undefined : matches ? secret : null;
      }
    }
  }
}
