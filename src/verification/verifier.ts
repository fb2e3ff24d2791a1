/** Verify: token -> keyspace -> secret -> key -> owner -> verdict -> usage, in one pass over records (reading.ts). */

import { type Key, type SecretAge, secretAge, secretUsageId } from '../domain/key.ts';
import { accepts, type Keyspace, KeyspaceDirectory } from '../domain/keyspace.ts';
import { type StandingKey, standing } from '../domain/standing.ts';
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
import type { KnownRecords } from '../storage/known.ts';
import { AtHand, Reading, type Records } from './reading.ts';
import type { Secrets } from './secrets.ts';
import { rulingOwner } from './standing.ts';
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
  /** The generation of the secret that matched. */
  readonly generation: string | undefined;
  /** Milliseconds since 1970 at which it was judged. */
  readonly time: number;
  /** With `explain`: every check in the order in which it was made. */
  readonly checks: readonly Check[];
}

/** What gives out copies tells how old one may be, and what is at hand. */
interface Copies {
  readonly ageOf: (key: Key) => number;
  readonly known: KnownRecords;
}

/** A key whose secret matched a token. */
export interface Match {
  readonly key: StandingKey;
  /** Milliseconds for which changes of it may have gone unseen. */
  readonly recordAge: number;
  readonly keyspace: Keyspace;
  /** The generation of the secret that matched. */
  readonly generation: string;
}

/** A match as it is kept in memory, with the key's own record. */
interface Kept extends Match {
  readonly record: Key;
}

/** Told of each check. */
type Note = (name: string, passed: boolean, detail: string) => void;

/** A match, or why there is none. */
type Found = Match | { readonly status: keyof typeof UNMATCHED_MESSAGES; readonly keyspace?: Keyspace };

const PRINTABLE = /^[\x21-\x7e]+$/;

export class Verifier {
  readonly #cached: KeyStore & Partial<Copies>;
  readonly #record: KeyStore;
  readonly #secrets: Secrets;
  readonly #usage: UsageRecorder;
  readonly #now: () => number;
  /** Undefined where nothing is kept. */
  readonly #atHand: AtHand | undefined;
  /** By the list that each was made from: the cache hands out the same one until a keyspace changes. */
  readonly #directories = new WeakMap<readonly Keyspace[], KeyspaceDirectory>();

  constructor(parts: {
    /** Where CACHED questions are answered from. */
    readonly cached: KeyStore & Partial<Copies>;
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
    const { known } = parts.cached;
    this.#atHand = known === undefined ? undefined : new AtHand(known, parts.secrets.argon2);
  }

  /**
   * Judges a token. A bad key is an answer; only a store that cannot answer is an error.
   *
   * @param mayVerify whether the asking caller may verify keys of a keyspace.
   * @throws Failure `unavailable`, or `exhausted` where too much Argon2id work is under way.
   */
  async verify(question: VerifyQuestion, mayVerify: (keyspaceId: string) => boolean): Promise<VerifyAnswer> {
    const judge = (records: Records) => this.#verify(question, mayVerify, records);
    const answer = await this.#read(question.strong, judge);
    if (!question.explain) this.countUse(answer);
    return answer;
  }

  /**
   * Begins a turn of judging from memory, which ends with the turn of the event loop. Whatever is asked in it has come
   * already: for none of it a change can be OK before the lease was looked at, which happens here.
   *
   * @returns false where nothing may be judged from memory now.
   */
  beginTurn(): boolean {
    return this.#atHand?.known.begin() === true;
  }

  /**
   * As `verify`, from what is in memory, in a turn that was begun; undefined where that does not do. The use is not counted:
   * see `countUse`.
   */
  verifyAtHand(
    question: VerifyQuestion,
    mayVerify: (keyspaceId: string) => boolean,
  ): VerifyAnswer | undefined {
    if (question.strong || this.#atHand === undefined) return undefined;
    return this.#verify(question, mayVerify, this.#atHand);
  }

  #read<Answer>(strong: boolean, judge: (records: Records) => Answer | undefined): Promise<Answer> {
    const store: KeyStore & Partial<Copies> = strong ? this.#record : this.#cached;
    return new Reading(store, store.known, this.#secrets.argon2).until(judge);
  }

  #verify(
    question: VerifyQuestion,
    mayVerify: (keyspaceId: string) => boolean,
    records: Records,
  ): VerifyAnswer | undefined {
    const now = this.#now();
    const checks: Check[] = [];
    const note: Note | undefined = question.explain
      ? (name, passed, detail) => checks.push({ name, passed, detail })
      : undefined;
    const found = this.#find(question, mayVerify, records, now, note);
    if (found === undefined) return undefined;
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
        generation: undefined,
        time: now,
        checks,
      };
    }
    const { key, keyspace: own, generation, recordAge } = found;
    const { status, message, missingPermissions } = judge(key, question.demands, now);
    if (question.explain) checks.push(...explainVerdict(key, question.demands, now));
    const age = generation === key.generation ? 'current' : 'previous';
    // A refusal may end at any moment, and who asks the system of record wants no older answer.
    const reusable = status === 'valid' && !question.strong;
    return {
      status,
      message,
      missingPermissions,
      key,
      secretAge: age,
      reusableFor: reusable ? reusableFor(key, own, age, now) : 0,
      recordAge: question.strong ? 0 : recordAge,
      keyspace,
      generation,
      time: now,
      checks,
    };
  }

  /** Counts a valid answer. Uses of a replaced secret are counted apart as well: they tell who has not switched yet. */
  countUse({ status, key, generation, time }: VerifyAnswer): void {
    if (status !== 'valid' || key === undefined) return;
    this.#usage.count(key.id, time);
    if (generation !== undefined && generation !== key.generation)
      this.#usage.count(secretUsageId(key.id, generation), time);
  }

  /** The keyspaces as they are now, in a form that finds one by token. */
  async directory(strong = false): Promise<KeyspaceDirectory> {
    return this.#directoryOf(await (strong ? this.#record : this.#cached).listKeyspaces());
  }

  #directoryOf(keyspaces: readonly Keyspace[]): KeyspaceDirectory {
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
    return (await this.#read(strong, (records) => this.#match(token, records))) ?? undefined;
  }

  /**
   * Reads what judging a token takes into memory, so that it can be judged at hand.
   *
   * @returns undefined where it takes more than records, or nothing is kept. Rejects as `match`.
   */
  readAhead(token: string): Promise<unknown> | undefined {
    if (!this.beginTurn()) return undefined;
    const bare = bareToken(token);
    const keyspaces = this.#atHand?.keyspaces();
    const keyspace = keyspaces && this.#directoryOf(keyspaces).forToken(bare);
    // Without the keyspaces nobody knows whether the caller may ask about this one.
    if (keyspaces === undefined || keyspace?.hash === 'argon2id') return undefined;
    return this.match(bare, false);
  }

  /** As `match`, from what is in memory, in a turn that was begun: null where the token opens none, undefined where that cannot be told. */
  matchAtHand(token: string): Match | null | undefined {
    return this.#atHand && this.#match(token, this.#atHand);
  }

  #match(token: string, records: Records): Match | null | undefined {
    const keyspaces = records.keyspaces();
    if (keyspaces === undefined) return undefined;
    const keyspace = this.#directoryOf(keyspaces).forToken(token);
    if (keyspace === undefined) return null;
    const now = this.#now();
    const kept = this.#kept(keyspace, token, records, now);
    if (kept !== undefined) return kept;
    if (!PRINTABLE.test(token) || !accepts(keyspace, token)) return null;
    return this.#open(keyspace, token, records, now);
  }

  /** Whether a match from memory is what `matchAtHand` would give now for the same token, in a turn that was begun. */
  stillMatches(match: Match): boolean {
    if (!this.#atHand?.known.holds(match)) return false;
    // The overlap of a rotation may have ended.
    return match.generation === match.key.generation;
  }

  /** The match that was kept with the secret of a token. */
  #kept(keyspace: Keyspace, token: string, records: Records, now: number): Match | undefined {
    if (!(records instanceof AtHand)) return undefined;
    const lookup = this.#secrets.lookupOf(keyspace, token);
    const kept = lookup && (records.known.kept(keyspace.id, lookup) as Kept | undefined);
    if (!kept || secretAge(kept.record, kept.generation, now) === undefined) return undefined;
    return kept;
  }

  #find(
    question: VerifyQuestion,
    mayVerify: (keyspaceId: string) => boolean,
    records: Records,
    now: number,
    note: Note | undefined,
  ): Found | undefined {
    const token = bareToken(question.token);
    const present = token !== '';
    note?.('present', present, present ? 'a key was given' : 'no key was given');
    if (!present) return { status: 'missing' };
    const printable = PRINTABLE.test(token);
    note?.(
      'printable',
      printable,
      printable ? 'it is printable ASCII' : 'it is not printable ASCII without spaces',
    );
    if (!printable) return { status: 'malformed' };

    const keyspaces = records.keyspaces();
    if (keyspaces === undefined) return undefined;
    const keyspace = this.#directoryOf(keyspaces).forToken(token);
    // A keyspace that the caller may not verify in is as unknown to it as one that is not there.
    if (keyspace === undefined || !mayVerify(keyspace.id)) {
      note?.('known_prefix', false, 'no keyspace that you may verify in has a prefix that begins it');
      return { status: 'not-found' };
    }
    const { id } = keyspace;
    // What opened a key before, and still would, was well formed.
    const kept = note === undefined ? this.#kept(keyspace, token, records, now) : undefined;
    if (kept !== undefined)
      return isAccepted(keyspace, question.keyspaces) ? kept : { status: 'wrong-keyspace', keyspace };
    note?.('known_prefix', true, `its prefix is that of keyspace ${id}`);
    const wellFormed = accepts(keyspace, token);
    note?.(
      'well_formed',
      wellFormed,
      wellFormed ? `it has the format of ${id}` : `its length, characters or checksum are not those of ${id}`,
    );
    if (!wellFormed) return { status: 'malformed', keyspace };
    const accepted = isAccepted(keyspace, question.keyspaces);
    note?.('keyspace', accepted, `the request ${accepted ? 'accepts' : 'does not accept'} ${id}`);
    if (!accepted) return { status: 'wrong-keyspace', keyspace };

    const opened = this.#open(keyspace, token, records, now);
    if (opened === undefined) return undefined;
    note?.('secret', opened !== null, `${opened === null ? 'no' : 'a'} stored key accepts it`);
    return opened ?? { status: 'not-found', keyspace };
  }

  /**
   * A secret opens its key only while the key accepts its generation. The owner's record is read after the key: had it been
   * read before, a key that was made in between would be held against an older generation than its own.
   */
  #open(keyspace: Keyspace, token: string, records: Records, now: number): Match | null | undefined {
    const secret = this.#secrets.find(records, keyspace, token);
    if (secret == null) return secret;
    const key = records.key(secret.keyId);
    if (key == null) return key;
    const { generation } = secret;
    if (secretAge(key, generation, now) === undefined) return null;
    const idOfOwner = rulingOwner(keyspace.id, key);
    const owner = idOfOwner === undefined ? null : records.owner(idOfOwner);
    if (owner === undefined) return undefined;
    const match = {
      key: standing(key, keyspace, owner ?? undefined),
      keyspace,
      generation,
      recordAge: this.#cached.ageOf?.(key) ?? 0,
    };
    if (records instanceof AtHand)
      records.known.keep(secret, idOfOwner, { ...match, record: key } satisfies Kept);
    return match;
  }
}
