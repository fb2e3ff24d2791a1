/**
 * The verdict on a key that was found: pure, and made anew on every Verify, so that expiry, project,
 * permissions and addresses need no invalidation.
 */

import { isAllowedAddress } from './address.ts';
import { isExpired, type Key, type Owner, ownerText, type SecretAge, sameOwner } from './key.ts';
import { cachePolicy, type Keyspace } from './keyspace.ts';
import { RESERVED_KEYSPACE, uncovered } from './permissions.ts';
import type { StandingKey } from './standing.ts';

/** In the order in which the contract asks for them: the first that applies is the answer. */
export type VerifyStatus =
  | 'missing'
  | 'malformed'
  | 'wrong-keyspace'
  | 'not-found'
  | 'revoked'
  | 'owner-disabled'
  | 'disabled'
  | 'expired'
  | 'wrong-owner'
  | 'wrong-project'
  | 'ip-not-allowed'
  | 'insufficient-permissions'
  | 'valid';

/** What the request asks of the key. */
export interface Demands {
  readonly permissions: readonly string[];
  readonly project?: string;
  readonly owner?: Owner;
  /** Address of the end client, not of the gateway. */
  readonly clientIp?: string;
}

/** One check as `explain` shows it. */
export interface Check {
  readonly name: string;
  readonly passed: boolean;
  readonly detail: string;
}

export interface Verdict {
  readonly status: VerifyStatus;
  /** One sentence for a log. */
  readonly message: string;
  readonly missingPermissions: readonly string[];
}

interface Rule {
  readonly name: string;
  readonly status: VerifyStatus;
  readonly passes: (key: StandingKey, demands: Demands, now: number) => boolean;
  readonly failure: (key: StandingKey, demands: Demands) => string;
  readonly success: (key: StandingKey, demands: Demands) => string;
}

const RULES: readonly Rule[] = [
  {
    name: 'not_revoked',
    status: 'revoked',
    passes: (key) => key.revokeTime === undefined,
    failure: (key) => `the key was revoked at ${timeText(key.revokeTime)}`,
    success: () => 'the key is not revoked',
  },
  {
    name: 'owner_enabled',
    status: 'owner-disabled',
    passes: (key) => !key.ownerDisabled,
    failure: () => 'the owner of the key is disabled',
    success: (key) => (key.owner === undefined ? 'the key has no owner' : 'its owner is not disabled'),
  },
  {
    name: 'enabled',
    status: 'disabled',
    passes: (key) => !key.disabled,
    failure: () => 'the key is disabled',
    success: () => 'the key is enabled',
  },
  {
    name: 'not_expired',
    status: 'expired',
    passes: (key, _demands, now) => !isExpired(key, now),
    failure: (key) => `the key expired at ${timeText(key.expireTime)}`,
    success: (key) =>
      key.expireTime === undefined ? 'the key never expires' : `it lives until ${timeText(key.expireTime)}`,
  },
  {
    name: 'owner',
    status: 'wrong-owner',
    passes: (key, { owner }) => owner === undefined || sameOwner(key.owner, owner),
    failure: () => 'the key does not belong to the owner asked for',
    success: (_key, { owner }) =>
      owner === undefined ? 'no owner was asked for' : `it belongs to ${ownerText(owner)}`,
  },
  {
    name: 'project',
    status: 'wrong-project',
    passes: (key, { project }) =>
      project === undefined || key.project === undefined || key.project === project,
    failure: () => 'the key is bound to another project',
    success: (key) =>
      key.project === undefined ? 'the key is bound to no project' : 'no other project was asked for',
  },
  {
    name: 'address',
    status: 'ip-not-allowed',
    passes: (key, { clientIp }) => isAllowedAddress(key.allowedCidrs, clientIp),
    failure: (_key, { clientIp }) =>
      clientIp === undefined
        ? 'the key is limited to addresses, and the request did not say its client_ip'
        : 'the key may not be used from this address',
    success: (key) =>
      key.allowedCidrs.length === 0 ? 'the key may be used from anywhere' : 'the address is allowed',
  },
  {
    name: 'permissions',
    status: 'insufficient-permissions',
    passes: (key, { permissions }) => missingPermissions(key, permissions).length === 0,
    failure: (key, { permissions }) => `the key lacks ${missingPermissions(key, permissions).join(', ')}`,
    success: (_key, { permissions }) => (permissions.length === 0 ? 'none was asked for' : 'all are held'),
  },
];

/** Management keys know no `:*`, so their permissions are only ever compared whole. */
function missingPermissions(key: StandingKey, wanted: readonly string[]): string[] {
  if (key.keyspace !== RESERVED_KEYSPACE) return uncovered(key.permissions, wanted);
  return wanted.filter((one) => !key.permissions.includes('*') && !key.permissions.includes(one));
}

function timeText(time: number | undefined): string {
  return time === undefined ? 'an unknown time' : new Date(time).toISOString();
}

/** Judges a key whose secret matched. `now` is milliseconds since 1970. */
export function judge(key: StandingKey, demands: Demands, now: number): Verdict {
  const broken = RULES.find((rule) => !rule.passes(key, demands, now));
  if (broken === undefined) return { status: 'valid', message: 'the key is valid', missingPermissions: [] };
  return {
    status: broken.status,
    message: broken.failure(key, demands),
    missingPermissions:
      broken.status === 'insufficient-permissions' ? missingPermissions(key, demands.permissions) : [],
  };
}

/**
 * Milliseconds from `now` for which whoever was told that a key is valid may go on with that: as long as its keyspace allows,
 * but not past the end of the key, nor, where the secret was a replaced one, past the end of its overlap.
 */
export function reusableFor(key: Key, keyspace: Keyspace, secret: SecretAge, now: number): number {
  const { clientCacheTtl } = cachePolicy(keyspace);
  if (clientCacheTtl === 0) return 0;
  const ends = [key.expireTime, secret === 'previous' ? key.previous?.expireTime : undefined];
  const rests = ends.flatMap((end) => (end === undefined ? [] : [Math.max(0, end - now)]));
  return Math.min(clientCacheTtl, ...rests);
}

/** Every check in the order in which `judge` makes them, with what it found. */
export function explainVerdict(key: StandingKey, demands: Demands, now: number): Check[] {
  return RULES.map((rule) => {
    const passed = rule.passes(key, demands, now);
    return {
      name: rule.name,
      passed,
      detail: passed ? rule.success(key, demands) : rule.failure(key, demands),
    };
  });
}

/** Where a token is refused before its secret matches: what may be said of it, for a log. */
export const UNMATCHED_MESSAGES = {
  missing: 'no key was given',
  malformed: 'the key is not well formed',
  'wrong-keyspace': 'the key is of a keyspace that this request does not accept',
  'not-found': 'no such key is known',
} as const satisfies Partial<Record<VerifyStatus, string>>;

/** Whether the keyspace is among those a request accepts. */
export function isAccepted(keyspace: Keyspace, accepted: readonly string[]): boolean {
  return accepted.length === 0 ? keyspace.id !== RESERVED_KEYSPACE : accepted.includes(keyspace.id);
}
