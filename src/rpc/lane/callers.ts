/** Who calls, judged from what is in memory each time anew. */

import type { Caller } from '../../domain/caller.ts';
import { judgedAtHand } from '../../verification/authenticate.ts';
import type { Match, Verifier } from '../../verification/verifier.ts';
import { type Scope, scopeOf } from '../handlers/verify.ts';
import { bareCredential } from '../request-headers.ts';

/** A caller who may ask now, and in which keyspaces. */
export interface Asker {
  /** Undefined: it shows no credential and needs none. */
  readonly caller: Caller | undefined;
  readonly mayVerify: Scope;
}

/** What was shown, before it is told apart. */
export interface Credentials {
  readonly authorization: string | undefined;
  readonly apiKey: string | undefined;
}

/** What is remembered of a connection or a stream: clients show the same credential in each call. */
export interface Acquaintance {
  authorization?: string;
  asker?: Asker & { readonly caller: Match };
}

export class Callers {
  readonly #verifier: Verifier;
  readonly #now: () => number;
  /** Whoever shows no credential, where anyone may ask. */
  readonly #anyone: Asker | undefined;
  readonly #isOpen: boolean;

  /** @param parts.now milliseconds since 1970. */
  constructor(parts: {
    readonly verifier: Verifier;
    readonly access: 'key' | 'open';
    readonly now: () => number;
  }) {
    this.#verifier = parts.verifier;
    this.#now = parts.now;
    this.#isOpen = parts.access === 'open';
    this.#anyone = this.#isOpen
      ? { caller: undefined, mayVerify: scopeOf(undefined, true, false) }
      : undefined;
  }

  /**
   * Who asks, in a turn that was begun (see PlainAnswers).
   *
   * @param clientIp address of the TCP peer; asked for only where a key is bound to addresses.
   * @returns undefined where the caller may not, or what is in memory does not tell: the long way finds out.
   */
  asking(
    shown: Credentials,
    acquaintance: Acquaintance,
    clientIp: () => string | undefined,
  ): Asker | undefined {
    const { authorization, apiKey } = shown;
    if (authorization === undefined && apiKey === undefined) return this.#anyone;
    // Two of them are to be compared, and refused or not.
    if (authorization !== undefined && apiKey !== undefined) return undefined;
    const { asker } = acquaintance;
    const isKnown =
      asker !== undefined &&
      authorization === acquaintance.authorization &&
      this.#verifier.stillMatches(asker.caller);
    const known = isKnown ? asker : this.#meet(shown, acquaintance);
    return known && judgedAtHand(known.caller, this.#now(), clientIp) && known;
  }

  #meet({ authorization, apiKey }: Credentials, acquaintance: Acquaintance): Acquaintance['asker'] {
    const token = authorization === undefined ? apiKey : bareCredential(authorization);
    if (token === undefined || token.includes(',')) return undefined;
    const caller = this.#verifier.matchAtHand(token);
    const scope = caller && scopeWithin(caller, this.#isOpen);
    if (caller == null || scope == null) return undefined;
    const asker = { caller, mayVerify: remembering(scope) };
    if (authorization !== undefined) Object.assign(acquaintance, { authorization, asker });
    return asker;
  }
}

/** @returns undefined where the caller may verify in no keyspace. */
function scopeWithin(caller: Caller, isOpen: boolean): Scope | undefined {
  try {
    return scopeOf(caller, isOpen, false);
  } catch {
    return undefined;
  }
}

/** The same scope, told once for each keyspace: what a caller's key may do does not change but by another record of it. */
function remembering(scope: Scope): Scope {
  const known = new Map<string, boolean>();
  return (keyspaceId) => {
    let may = known.get(keyspaceId);
    if (may === undefined) {
      may = scope(keyspaceId);
      known.set(keyspaceId, may);
    }
    return may;
  };
}
