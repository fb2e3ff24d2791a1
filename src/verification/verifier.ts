/** Verify: token -> keyspace -> secret -> key -> owner -> verdict -> usage. */

import { type Key, type SecretAge, secretAge, secretUsageId } from '../domain/key.ts';
import { accepts, type Keyspace, KeyspaceDirectory } from '../domain/keyspace.ts';
import type { StandingKey } from '../domain/standing.ts';
import { bareToken } from '../domain/token.ts';
import {
  type Check,
  type Demands,
  explainVerdict,
  isAccepted,
  judge,
  reusableFor,
  UNMATCHED_MESSAGES,
  type VerifyStatus,
} from '../domain/verdict.ts';
import type { KeyStore } from '../storage/key-store.ts';
import type { Secrets } from './secrets.ts';
import { standingOf } from './standing.ts';
import type { UsageRecorder } from './usage.ts';

export interface VerifyQuestion {
  /** A raw key, with or without a leading `Bearer `. */
  readonly token: string;
  /** Accept only keys of these keyspaces; empty: all that the caller may verify, but the reserved one. */
  readonly keyspaces: readonly string[];
  readonly demands: Demands;
  /** Ask the system of record, not a cache. */
  readonly strong: boolean;
  /** Fill `checks`, and count no use. */
  readonly explain: boolean;
}

export interface VerifyAnswer {
  readonly status: VerifyStatus;
  /** One sentence for a log, without the token. */
  readonly message: string;
  readonly missingPermissions: readonly string[];
  /** Set whenever the secret matched, whatever the status. */
  readonly key: StandingKey | undefined;
  /** Which of the key's secrets it was. */
  readonly secretAge: SecretAge | undefined;
  /** Milliseconds from the judging on for which the caller may give the answer again. */
  readonly reusableFor: number;
  /** Milliseconds for which changes of the key may have gone unseen. */
  readonly recordAge: number;
  /** That of the token's prefix, where the caller may verify in it. */
  readonly keyspace: Keyspace | undefined;
  /** With `explain`: every check in the order in which it was made. */
  readonly checks: readonly Check[];
}

/** What gives out copies tells how old one may be. */
interface CopyAges {
  readonly ageOf: (key: Key) => number;
}

/** A key whose secret matched a token. */
interface Match {
  readonly key: StandingKey;
  /** Milliseconds for which changes of it may have gone unseen. */
  readonly recordAge: number;
  readonly keyspace: Keyspace;
  /** The generation of the secret that matched. */
  readonly generation: string;
}

/** A match, or why there is none. */
type Found = Match | { readonly status: keyof typeof UNMATCHED_MESSAGES; readonly keyspace?: Keyspace };

const PRINTABLE = /^[\x21-\x7e]+$/;

export class Verifier {
  readonly #cached: KeyStore & Partial<CopyAges>;
  readonly #record: KeyStore;
  readonly #secrets: Secrets;
  readonly #usage: UsageRecorder;
  readonly #now: () => number;
  /** By the list that each was made from: the cache hands out the same one until a keyspace changes. */
  readonly #directories = new WeakMap<readonly Keyspace[], KeyspaceDirectory>();

  constructor(parts: {
    /** Where CACHED questions are answered from. */
    readonly cached: KeyStore & Partial<CopyAges>;
    /** The system of record itself. */
    readonly record: KeyStore;
    readonly secrets: Secrets;
    readonly usage: UsageRecorder;
    /** Milliseconds since 1970. */
    readonly now: () => number;
  }) {
    this.#cached = parts.cached;
    this.#record = parts.record;
    this.#secrets = parts.secrets;
    this.#usage = parts.usage;
    this.#now = parts.now;
  }

  /**
   * Judges a token. A bad key is an answer; only a store that cannot answer is an error.
   *
   * @param mayVerify whether the asking caller may verify keys of a keyspace.
   * @throws Failure `unavailable`, or `exhausted` where too much Argon2id work is under way.
   */
  async verify(question: VerifyQuestion, mayVerify: (keyspaceId: string) => boolean): Promise<VerifyAnswer> {
    const checks: Check[] = [];
    const found = await this.#find(question, mayVerify, (check) => question.explain && checks.push(check));
    const { keyspace } = found;
    if ('status' in found) {
      const { status } = found;
      return {
        status,
        message: UNMATCHED_MESSAGES[status],
        missingPermissions: [],
        key: undefined,
        secretAge: undefined,
        reusableFor: 0,
        recordAge: 0,
        keyspace,
        checks,
      };
    }
    const { key, keyspace: own, generation, recordAge } = found;
    const now = this.#now();
    const verdict = judge(key, question.demands, now);
    if (question.explain) checks.push(...explainVerdict(key, question.demands, now));
    else if (verdict.status === 'valid') this.#count(key, generation, now);
    const age = generation === key.generation ? 'current' : 'previous';
    // A refusal may end at any moment, and who asks the system of record wants no older answer.
    const reusable = verdict.status === 'valid' && !question.strong;
    return {
      ...verdict,
      key,
      secretAge: age,
      reusableFor: reusable ? reusableFor(key, own, age, now) : 0,
      recordAge,
      keyspace,
      checks,
    };
  }

  /** Uses of a replaced secret are counted apart as well: they tell who has not switched yet. */
  #count(key: Key, generation: string, now: number): void {
    this.#usage.count(key.id, now);
    if (generation !== key.generation) this.#usage.count(secretUsageId(key.id, generation), now);
  }

  /** The keyspaces as they are now, in a form that finds one by token. */
  async directory(strong = false): Promise<KeyspaceDirectory> {
    const keyspaces = await (strong ? this.#record : this.#cached).listKeyspaces();
    let directory = this.#directories.get(keyspaces);
    if (directory === undefined) {
      directory = new KeyspaceDirectory(keyspaces);
      this.#directories.set(keyspaces, directory);
    }
    return directory;
  }

  /**
   * The key that a token opens, in whatever state it is, with its keyspace.
   *
   * @returns undefined where the token opens none.
   */
  async match(token: string, strong: boolean): Promise<Match | undefined> {
    const keyspace = (await this.directory(strong)).forToken(token);
    if (keyspace === undefined || !PRINTABLE.test(token) || !accepts(keyspace, token)) return undefined;
    const opened = await this.#open(keyspace, token, strong);
    return opened === undefined ? undefined : { ...opened, keyspace };
  }

  async #find(
    question: VerifyQuestion,
    mayVerify: (keyspaceId: string) => boolean,
    note: (check: Check) => void,
  ): Promise<Found> {
    const token = bareToken(question.token);
    const holds = (name: string, passed: boolean, success: string, failure: string): boolean => {
      note({ name, passed, detail: passed ? success : failure });
      return passed;
    };

    if (!holds('present', token !== '', 'a key was given', 'no key was given')) return { status: 'missing' };
    if (
      !holds(
        'printable',
        PRINTABLE.test(token),
        'it is printable ASCII',
        'it is not printable ASCII without spaces',
      )
    ) {
      return { status: 'malformed' };
    }
    const keyspace = (await this.directory(question.strong)).forToken(token);
    // A keyspace that the caller may not verify in is as unknown to it as one that is not there.
    if (keyspace === undefined || !mayVerify(keyspace.id)) {
      holds('known_prefix', false, '', 'no keyspace that you may verify in has a prefix that begins it');
      return { status: 'not-found' };
    }
    const { id } = keyspace;
    holds('known_prefix', true, `its prefix is that of keyspace ${id}`, '');
    const wellFormed = accepts(keyspace, token);
    if (
      !holds(
        'well_formed',
        wellFormed,
        `it has the format of ${id}`,
        `its length, characters or checksum are not those of ${id}`,
      )
    ) {
      return { status: 'malformed', keyspace };
    }
    const accepted = isAccepted(keyspace, question.keyspaces);
    if (!holds('keyspace', accepted, `the request accepts ${id}`, `the request does not accept ${id}`)) {
      return { status: 'wrong-keyspace', keyspace };
    }
    const opened = await this.#open(keyspace, token, question.strong);
    holds('secret', opened !== undefined, 'a stored key accepts it', 'no stored key accepts it');
    return opened === undefined ? { status: 'not-found', keyspace } : { ...opened, keyspace };
  }

  /** A secret opens its key only while the key accepts its generation. */
  async #open(
    keyspace: Keyspace,
    token: string,
    strong: boolean,
  ): Promise<Omit<Match, 'keyspace'> | undefined> {
    const store = strong ? this.#record : this.#cached;
    const secret = await this.#secrets.find(store, keyspace, token);
    const key = secret === undefined ? undefined : await store.getKey(secret.keyId);
    if (key === undefined || secret === undefined) return undefined;
    const { generation } = secret;
    if (secretAge(key, generation, this.#now()) === undefined) return undefined;
    const recordAge = strong ? 0 : (this.#cached.ageOf?.(key) ?? 0);
    return { key: await standingOf(store, key, keyspace), recordAge, generation };
  }
}
