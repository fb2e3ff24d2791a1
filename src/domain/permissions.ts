/**
 * The permission algebra.
 *
 * A permission asked for is a literal (`docs:read`). A held one is a literal, `*` (everything), or ends
 * in `:*` and covers whatever begins with what stands before the star (`docs:*` covers `docs:read` and
 * `docs:read:own`, not `docs`).
 *
 * What an owner's keys may do is bounded by the owner's record, where that has a bound: such a key may do what its own
 * permissions and the bound both cover (`meet`).
 *
 * Management permissions live only in the reserved keyspace `gatehouse`, know no `:*`, and may be
 * narrowed to one keyspace: `keys:create@acx`. One that is not narrowed covers every keyspace but
 * `gatehouse` itself.
 */

/** The keyspace that management keys live in. */
export const RESERVED_KEYSPACE = 'gatehouse';

/** What a management key may be allowed to do. */
export const MANAGEMENT_PERMISSIONS = [
  'keys:create',
  'keys:read',
  'keys:update',
  'keys:rotate',
  'keys:revoke',
  'keys:import',
  'keyspaces:read',
  'keyspaces:admin',
  'owners:read',
  'owners:admin',
  'tokens:verify',
] as const;

export type ManagementPermission = (typeof MANAGEMENT_PERMISSIONS)[number];

const ASKED = /^[A-Za-z0-9._:/-]{1,128}$/;
const KEYSPACE_ID = /^[a-z][a-z0-9-]{1,62}$/;

/** Whether one held permission covers another permission, asked for or held (a wildcard inside a wildcard). */
export function covers(held: string, other: string): boolean {
  if (held === other || held === '*') return true;
  return held.endsWith(':*') && other.startsWith(held.slice(0, -1));
}

/** Those of `wanted` that nothing in `held` covers, in their order. */
export function uncovered(held: readonly string[], wanted: readonly string[]): string[] {
  return wanted.filter((permission) => !held.some((one) => covers(one, permission)));
}

/**
 * What two lists of held permissions have in common: it covers a permission asked for exactly where both do. Of two
 * permissions that share anything one covers the other, so the narrower one is what they share.
 */
export function meet(one: readonly string[], other: readonly string[]): string[] {
  const shared = one.flatMap((mine) =>
    other.flatMap((its) => (covers(mine, its) ? [its] : covers(its, mine) ? [mine] : [])),
  );
  return [...new Set(shared)];
}

/** Whether the text may stand in a key's permissions outside the reserved keyspace. */
export function isHeldPermission(text: string): boolean {
  if (text === '*') return true;
  return ASKED.test(text.endsWith(':*') ? text.slice(0, -1) : text);
}

/** Whether the text may stand in a management key's permissions: `*`, `<permission>` or `<permission>@<keyspace>`. */
export function isManagementPermission(text: string): boolean {
  if (text === '*') return true;
  const [permission = '', keyspace, ...rest] = text.split('@');
  if (rest.length > 0 || !(MANAGEMENT_PERMISSIONS as readonly string[]).includes(permission)) return false;
  return keyspace === undefined || KEYSPACE_ID.test(keyspace);
}

/** Whether held management permissions allow `permission` in `keyspace`. */
export function manages(
  held: readonly string[],
  permission: ManagementPermission,
  keyspace: string,
): boolean {
  return held.some(
    (one) =>
      one === '*' ||
      one === `${permission}@${keyspace}` ||
      (one === permission && keyspace !== RESERVED_KEYSPACE),
  );
}

/** Whether held management permissions allow `permission` in any keyspace at all. */
export function managesSomewhere(held: readonly string[], permission: ManagementPermission): boolean {
  return held.some((one) => one === '*' || one === permission || one.startsWith(`${permission}@`));
}

/**
 * Those of `wanted` (management permissions) that go beyond `held`: nobody makes or touches a
 * management key that may do more than itself.
 */
export function beyondManagement(held: readonly string[], wanted: readonly string[]): string[] {
  return wanted.filter((permission) => !held.some((one) => managementCovers(one, permission)));
}

function managementCovers(held: string, other: string): boolean {
  if (held === '*' || held === other) return true;
  const [permission, keyspace] = other.split('@');
  return keyspace !== undefined && keyspace !== RESERVED_KEYSPACE && held === permission;
}
