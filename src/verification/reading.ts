/**
 * What a judgement reads. Judging is one synchronous pass over records that are at hand; where one is missing, the pass
 * gives up, the record is read, and the pass begins anew with what was read so far. So there is one way to judge, whether
 * all of it is in memory or nothing is, and records are read in the order in which judging asks for them.
 */

import type { Key, Secret } from '../domain/key.ts';
import type { Keyspace } from '../domain/keyspace.ts';
import type { OwnerRecord } from '../domain/owner.ts';
import type { KeyStore } from '../storage/key-store.ts';
import type { KnownRecords } from '../storage/known.ts';
import type { Argon2 } from './argon2.ts';

export interface Records extends Pick<KnownRecords, 'keyspaces' | 'secret' | 'key' | 'owner'> {
  /** Whether the token is the one behind an Argon2id hash. */
  matches(phc: string, locator: string, token: string): boolean | undefined;
}

/** What is at hand, and nothing else. */
export class AtHand implements Records {
  readonly known: KnownRecords;
  readonly #argon2: Argon2;

  constructor(known: KnownRecords, argon2: Argon2) {
    this.known = known;
    this.#argon2 = argon2;
  }

  keyspaces(): readonly Keyspace[] | undefined {
    return this.known.keyspaces();
  }

  secret(keyspace: string, lookup: string): Secret | null | undefined {
    return this.known.secret(keyspace, lookup);
  }

  key(id: string): Key | null | undefined {
    return this.known.key(id);
  }

  owner(id: string): OwnerRecord | null | undefined {
    return this.known.owner(id);
  }

  matches(phc: string, _locator: string, token: string): boolean | undefined {
    return this.#argon2.remembers(phc, token);
  }
}

/** Records that are read as a judgement asks for them, each once. */
export class Reading implements Records {
  readonly #store: KeyStore;
  readonly #known: KnownRecords | undefined;
  readonly #argon2: Argon2;
  readonly #read = new Map<string, unknown>();
  #missing: { readonly name: string; readonly read: () => Promise<unknown> } | undefined;

  /** @param known what the store has at hand; absent: nothing. */
  constructor(store: KeyStore, known: KnownRecords | undefined, argon2: Argon2) {
    this.#store = store;
    this.#known = known;
    this.#argon2 = argon2;
  }

  keyspaces(): readonly Keyspace[] | undefined {
    return (
      this.#get(
        'keyspaces',
        () => this.#known?.keyspaces(),
        () => this.#store.listKeyspaces(),
      ) ?? undefined
    );
  }

  secret(keyspace: string, lookup: string): Secret | null | undefined {
    return this.#get(
      `secret ${keyspace} ${lookup}`,
      () => this.#known?.secret(keyspace, lookup),
      () => this.#store.findSecret(keyspace, lookup),
    );
  }

  key(id: string): Key | null | undefined {
    return this.#get(
      `key ${id}`,
      () => this.#known?.key(id),
      () => this.#store.getKey(id),
    );
  }

  owner(id: string): OwnerRecord | null | undefined {
    return this.#get(
      `owner ${id}`,
      () => this.#known?.owner(id),
      () => this.#store.getOwner(id),
    );
  }

  matches(phc: string, locator: string, token: string): boolean | undefined {
    return (
      this.#get(
        `match ${phc}`,
        () => undefined,
        () => this.#argon2.matches(phc, locator, token),
      ) ?? undefined
    );
  }

  /** Each record is the same one from its first read to the end, at hand or not. */
  #get<Value>(
    name: string,
    look: () => Value | null | undefined,
    read: () => Promise<Value | undefined>,
  ): Value | null | undefined {
    const before = this.#read.get(name) as Value | null | undefined;
    if (before !== undefined) return before;
    // Each time anew: there may be no lease any more.
    const known = this.#known?.begin() ? look() : undefined;
    if (known === undefined) this.#missing = { name, read };
    else this.#read.set(name, known);
    return known;
  }

  /**
   * Judges until nothing is missing.
   *
   * @param judge gives undefined where a record was missing.
   * @throws what reading throws.
   */
  async until<Answer>(judge: (records: Records) => Answer | undefined): Promise<Answer> {
    for (;;) {
      this.#missing = undefined;
      const answer = judge(this);
      const missing = this.#missing as { name: string; read: () => Promise<unknown> } | undefined;
      if (answer !== undefined) return answer;
      if (missing === undefined) throw new Error('a judgement gave up although nothing was missing');
      this.#read.set(missing.name, (await missing.read()) ?? null);
    }
  }
}
