/** A keyspace is a policy: what its keys look like, how they are hashed, how long they live, who manages them. */

import type { HashAlgorithm } from './digest.ts';
import { LOCATOR_LENGTH } from './digest.ts';
import type { ChangeableRecord } from './event.ts';
import type { Violation } from './failure.ts';
import type { Generations } from './generation.ts';
import { RESERVED_KEYSPACE } from './permissions.ts';
import { entropyBits, isWellFormed, type TokenFormat } from './token.ts';

export type SelfServiceCaller = 'key';

/** For how long a keyspace lets others remember, in milliseconds. */
export interface CachePolicy {
  /** The age of a copy of a record at which it is read again. */
  readonly cacheTtl: number;
  /** How long it is remembered that a key is not there. */
  readonly negativeTtl: number;
  /** How long a client may reuse an answer. */
  readonly clientCacheTtl: number;
  /** How long a replica may answer from memory that reaches neither the others nor the store. */
  readonly partitionBound: number;
}

const CACHE_POLICY: CachePolicy = {
  cacheTtl: 300_000,
  negativeTtl: 60_000,
  clientCacheTtl: 0,
  partitionBound: 0,
};

/** What holds for a keyspace, and, undefined, for one of which nothing is known. */
export function cachePolicy(keyspace: Keyspace | undefined): CachePolicy {
  if (keyspace === undefined) return CACHE_POLICY;
  const { cacheTtl, negativeTtl, clientCacheTtl, onPartition, partitionBound = 0 } = keyspace;
  return {
    cacheTtl: cacheTtl ?? CACHE_POLICY.cacheTtl,
    negativeTtl: negativeTtl ?? CACHE_POLICY.negativeTtl,
    clientCacheTtl: clientCacheTtl ?? CACHE_POLICY.clientCacheTtl,
    partitionBound: onPartition === 'available' ? partitionBound : CACHE_POLICY.partitionBound,
  };
}

/** Milliseconds that answers from before a confirmed change may still be met, somewhere. */
export function answersOutlive(keyspace: Keyspace): number {
  const { clientCacheTtl, partitionBound } = cachePolicy(keyspace);
  return clientCacheTtl + partitionBound;
}

/** Milliseconds within which a change of a keyspace is what every replica answers by. */
const SPREAD_MS = 10_000;

/**
 * Until when (milliseconds since 1970) answers may be met that were given before a keyspace was changed, and outlive more
 * than its answers do now; undefined where there are none.
 */
export function olderAnswersUntil(before: Keyspace, after: Keyspace, now: number): number | undefined {
  const known = before.olderAnswersUntil;
  if (answersOutlive(after) >= answersOutlive(before)) return known;
  return Math.max(known ?? 0, now + answersOutlive(before) + SPREAD_MS);
}

export interface DenyBody {
  readonly contentType: string;
  readonly body: string;
}

/** Its cache policy is what was decided; what was not goes by the defaults (see cachePolicy). */
export interface Keyspace extends ChangeableRecord, Generations, TokenFormat, Partial<CachePolicy> {
  readonly displayName: string;
  /** Whether a replica that is cut off may go on for `partitionBound`; absent: no. */
  readonly onPartition?: 'available';
  readonly hash: HashAlgorithm;
  /** Leading characters of a token (prefix included) that lists may show. */
  readonly displayLength: number;
  /** Milliseconds that a key lives which says nothing; absent: until revoked. */
  readonly defaultTtl?: number;
  /** Milliseconds from its creation that a key may live at most. */
  readonly maxTtl?: number;
  /** Copied into a key when it is made and says nothing itself. */
  readonly keyDefaults: {
    readonly metadata: Readonly<Record<string, string>>;
    readonly permissions: readonly string[];
  };
  /** Kinds of credential that may manage their own owner's keys. */
  readonly selfServiceCallers: readonly SelfServiceCaller[];
  /** Permission that a self-service caller must hold; absent: none. */
  readonly selfServicePermission?: string;
  /** Whether a self-service caller's key may outlive the key that made it. */
  readonly selfServiceMayOutlive: boolean;
  /** What gateway hooks answer with a refusal, by HTTP status; absent: the same for all keyspaces. */
  readonly denyBodies?: Readonly<Record<number, DenyBody>>;
  /** Kept by Changes, for itself: see the function of this name. */
  readonly olderAnswersUntil?: number;
  /** Milliseconds since 1970. */
  readonly createTime: number;
  readonly updateTime: number;
}

/** The record that rules spanning keyspaces are checked and set in, by compare-and-set. */
export interface Registry {
  readonly revision: number;
  /**
   * The id of the keyspace that each prefix is reserved for, before the keyspace is written. Only ever added to: one
   * that was reserved in vain (a crash, a lost race) stays that id's.
   */
  readonly prefixes: Readonly<Record<string, string>>;
  /** 32 random bytes in base64url; page tokens carry a MAC under it. */
  readonly macKey: string;
  /**
   * A MAC of a fixed text under each pepper that was seen, by the pepper's id: tells another pepper under an old id,
   * and nothing of the pepper itself.
   */
  readonly pepperChecks?: Readonly<Record<string, string>>;
  /** Random: names what its replicas share in Redis. Absent: they share none. */
  readonly domain?: string;
  /** The life of that Redis's data in which they answer from memory (see coherence/epoch.ts). */
  readonly epoch?: string;
  /** Random: of a process that asks whether any replica of that domain is alive (see coherence/domain.ts). */
  readonly domainClaim?: string;
  /** Random: which of the processes that start at once makes the first root key. */
  readonly firstRootClaim?: string;
}

/** What a registry says in whichever place it is stored. Its domain is about the place: two stores must not share one. */
export function movedRegistry({ domain: _, domainClaim: __, epoch: ___, ...registry }: Registry): Registry {
  return registry;
}

type SecretShape = Pick<Keyspace, 'prefix' | 'alphabet' | 'secretLength' | 'hash'>;

const MIN_SECRET_BITS = 128;
const MIN_HIDDEN_BITS = 96;

/** Bits of the secret that neither lists nor the store show. */
function hiddenBits(format: SecretShape, displayLength: number): number {
  const shown = Math.max(0, displayLength - format.prefix.length);
  const stored = format.hash === 'argon2id' ? LOCATOR_LENGTH : 0;
  return entropyBits(format.alphabet, Math.max(0, format.secretLength - Math.max(shown, stored)));
}

/** The most leading characters that lists may show of keys in this format. */
export function largestDisplayLength(format: SecretShape): number {
  let length = format.prefix.length;
  while (hiddenBits(format, length + 1) >= MIN_HIDDEN_BITS) length++;
  return length;
}

/**
 * The rules of a keyspace that span fields; bounds of single fields are in the proto's validation rules.
 *
 * @returns a violation for each broken rule, with paths below `keyspace.`.
 */
export function keyspaceViolations(keyspace: Keyspace): Violation[] {
  const found: Violation[] = [];
  const bits = Math.floor(entropyBits(keyspace.alphabet, keyspace.secretLength));
  if (bits < MIN_SECRET_BITS) {
    const least = keyspace.alphabet === 'hex' ? 32 : 22;
    found.push({
      field: 'keyspace.secret_length',
      description: `gives ${bits} bits of entropy; at least ${MIN_SECRET_BITS} are needed, which is ${least} characters`,
    });
  } else if (hiddenBits(shortestSecret(keyspace), keyspace.displayLength) < MIN_HIDDEN_BITS) {
    const part =
      keyspace.hash === 'argon2id' ? `(ARGON2ID stores the first ${LOCATOR_LENGTH} characters) ` : '';
    const hidden = Math.floor(hiddenBits(shortestSecret(keyspace), keyspace.displayLength));
    const tooShort = hiddenBits(shortestSecret(keyspace), 0) < MIN_HIDDEN_BITS;
    found.push({
      field: tooShort ? 'keyspace.secret_length' : 'keyspace.display_length',
      description: `leaves ${hidden} bits hidden ${part}where at least ${MIN_HIDDEN_BITS} must stay hidden; ${tooShort ? '' : 'show fewer characters or '}make the secret longer`,
    });
  }
  if (keyspace.displayLength < keyspace.prefix.length) {
    found.push({
      field: 'keyspace.display_length',
      description: `must be at least the prefix's length, ${keyspace.prefix.length}`,
    });
  }
  if (
    keyspace.defaultTtl !== undefined &&
    keyspace.maxTtl !== undefined &&
    keyspace.defaultTtl > keyspace.maxTtl
  ) {
    found.push({ field: 'keyspace.default_ttl', description: 'must not be longer than max_ttl' });
  }
  if (keyspace.onPartition === 'available' && keyspace.partitionBound === undefined) {
    found.push({
      field: 'keyspace.partition_bound',
      description: 'must be given with ON_PARTITION_AVAILABLE: 1 second to 1 hour',
    });
  }
  return found;
}

/** The id of the keyspace whose prefix begins `prefix` or begins with it, itself excepted. */
export function collidingKeyspace(registry: Registry, id: string, prefix: string): string | undefined {
  const collides = ([taken, other]: [string, string]) =>
    other !== id && (taken.startsWith(prefix) || prefix.startsWith(taken));
  return Object.entries(registry.prefixes).find(collides)?.[1];
}

// A root key from the settings may be any such text, so keys of the reserved keyspace are not held to one length.
const MIN_MANAGEMENT_SECRET = 32;
const MANAGEMENT_SECRET = /^[A-Za-z0-9_-]{32,128}$/;

function shortestSecret(keyspace: Keyspace): SecretShape {
  return keyspace.id === RESERVED_KEYSPACE ? { ...keyspace, secretLength: MIN_MANAGEMENT_SECRET } : keyspace;
}

/** Whether a token that begins with the keyspace's prefix is well formed there. */
export function accepts(keyspace: Keyspace, token: string): boolean {
  if (keyspace.id === RESERVED_KEYSPACE) return MANAGEMENT_SECRET.test(token.slice(keyspace.prefix.length));
  return isWellFormed(keyspace, token);
}

/** All keyspaces, found by id or by the prefix of a token. No two prefixes begin each other. */
export class KeyspaceDirectory {
  readonly #byId: ReadonlyMap<string, Keyspace>;
  readonly #byPrefix: ReadonlyMap<string, Keyspace>;
  /** Different prefix lengths in use. */
  readonly #lengths: readonly number[];

  constructor(keyspaces: readonly Keyspace[]) {
    this.#byId = new Map(keyspaces.map((one) => [one.id, one]));
    this.#byPrefix = new Map(keyspaces.map((one) => [one.prefix, one]));
    this.#lengths = [...new Set(keyspaces.map((one) => one.prefix.length))];
  }

  get(id: string): Keyspace | undefined {
    return this.#byId.get(id);
  }

  forToken(token: string): Keyspace | undefined {
    for (const length of this.#lengths) {
      const keyspace = this.#byPrefix.get(token.slice(0, length));
      if (keyspace !== undefined) return keyspace;
    }
    return undefined;
  }

  ids(): string[] {
    return [...this.#byId.keys()];
  }
}

/** The two keyspaces that exist from the first start. */
export function builtInKeyspaces(now: number): Keyspace[] {
  const common = {
    alphabet: 'base62',
    hash: 'sha256',
    displayLength: 12,
    keyDefaults: { metadata: {}, permissions: [] },
    selfServiceCallers: [],
    selfServiceMayOutlive: false,
    createTime: now,
    updateTime: now,
    revision: 1,
    pending: [],
  } as const;
  return [
    {
      ...common,
      id: RESERVED_KEYSPACE,
      displayName: 'Gatehouse management keys',
      prefix: 'ghm_',
      secretLength: 43,
      checksum: false,
    },
    { ...common, id: 'default', displayName: 'Default', prefix: 'gate_', secretLength: 32, checksum: true },
  ];
}
