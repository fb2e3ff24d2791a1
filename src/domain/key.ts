/** The record of a key. The secret itself is not in it; `Secret` holds its hash apart. */

import type { HashAlgorithm } from './digest.ts';
import type { ChangeableRecord } from './event.ts';
import type { RequestName } from './request.ts';

/** Whose a key is, such as `user:42`. An owner belongs to one keyspace. */
export interface Owner {
  readonly kind: string;
  readonly id: string;
}

export interface Key extends ChangeableRecord {
  readonly keyspace: string;
  readonly name: string;
  readonly displayPrefix: string;
  readonly owner?: Owner;
  /** The one project that the key is for; absent: any. */
  readonly project?: string;
  readonly permissions: readonly string[];
  /** Set: `permissions` is empty, and the key has what its owner's bound lists at each moment (no bound: nothing). */
  readonly inheritOwnerPermissions?: true;
  readonly metadata: Readonly<Record<string, string>>;
  /** Canonical networks that the end client must come from; empty: any. */
  readonly allowedCidrs: readonly string[];
  readonly disabled: boolean;
  /** Milliseconds since 1970, as all times here. */
  readonly createTime: number;
  /** Id of the key that made it, or `system`. */
  readonly createdBy: string;
  /** Set where a self-service key made it. */
  readonly parentKeyId?: string;
  readonly updateTime: number;
  /** The key is dead from this moment on; absent: never expires. */
  readonly expireTime?: number;
  readonly revokeTime?: number;
  readonly revokeReason?: string;
  /** Generation of its owner's record that it was made in (see generation.ts); absent: 0. */
  readonly ownerGeneration?: number;
  /** Generation of its keyspace that it was made in; absent: 0. */
  readonly keyspaceGeneration?: number;
  /** The generation of secret that the key accepts. */
  readonly generation: string;
  /** The secret that the last rotation replaced, until its overlap has passed. */
  readonly previous?: PreviousSecret;
  /** The request that the current secret came by, where it came by one that may be repeated. */
  readonly rotationRequest?: RequestName;
}

/** A replaced secret that still opens its key. */
export interface PreviousSecret {
  readonly generation: string;
  /** It opens the key before this moment (milliseconds since 1970). */
  readonly expireTime: number;
}

/** Which of a key's two secrets one is. */
export type SecretAge = 'current' | 'previous';

/** Which secret of the key this generation is at `now`; undefined: one that opens it no more, or never did. */
export function secretAge(key: Key, generation: string, now: number): SecretAge | undefined {
  if (generation === key.generation) return 'current';
  const { previous } = key;
  return previous !== undefined && generation === previous.generation && now < previous.expireTime
    ? 'previous'
    : undefined;
}

/** The id under which uses of one secret of a key are counted, beside those of the key. */
export function secretUsageId(keyId: string, generation: string): string {
  return `${keyId}/${generation}`;
}

/**
 * One stored secret. Immutable, so it may be cached for ever. It opens its key only while the key
 * accepts its generation.
 */
export interface Secret {
  readonly keyspace: string;
  /** SHA256: the token's digest. HMAC: the HMAC itself. ARGON2ID: the locator. Unique in its keyspace. */
  readonly lookup: string;
  readonly keyId: string;
  readonly generation: string;
  readonly algorithm: HashAlgorithm;
  /** HMAC only: the id of the pepper. */
  readonly pepperId?: string;
  /** ARGON2ID only: the PHC string of the whole token. */
  readonly hash?: string;
}

/** What is counted for a key, apart from its record, so that traffic moves no revision. */
export interface Usage {
  /** VALID answers. */
  readonly count: number;
  /** Time of the last VALID answer. */
  readonly lastUsedTime: number;
}

export type KeyState = 'active' | 'disabled' | 'expired' | 'revoked';

/** The state shown in lists; the first that applies of revoked, disabled, expired. */
export function keyState(key: Key, now: number): KeyState {
  if (key.revokeTime !== undefined) return 'revoked';
  if (key.disabled) return 'disabled';
  return isExpired(key, now) ? 'expired' : 'active';
}

/** A key is expired from its expire_time on, that moment included. */
export function isExpired(key: Key, now: number): boolean {
  return key.expireTime !== undefined && key.expireTime <= now;
}

export function sameOwner(one: Owner | undefined, other: Owner | undefined): boolean {
  return one?.kind === other?.kind && one?.id === other?.id;
}

/** An owner as text: `kind:id`. */
export function ownerText(owner: Owner): string {
  return `${owner.kind}:${owner.id}`;
}
