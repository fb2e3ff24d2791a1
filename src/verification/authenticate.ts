/** Callers are judged like any key: live, from an allowed address. */

import type { Caller } from '../domain/caller.ts';
import { Failure } from '../domain/failure.ts';
import { optional } from '../domain/optional.ts';
import { RESERVED_KEYSPACE } from '../domain/permissions.ts';
import { judge, type VerifyStatus } from '../domain/verdict.ts';
import type { UsageRecorder } from './usage.ts';
import type { Verifier } from './verifier.ts';

/**
 * The caller behind a credential.
 *
 * @param options.clientIp address that the call came from.
 * @param options.strong judge it against the system of record, as writes do.
 * @param options.counts whether this is a use of the key.
 * @throws Failure `unauthenticated`, the same for unknown, malformed, revoked, disabled and expired keys; `denied` for
 *   a live key from an address that it may not be used from; `unavailable`.
 */
export async function authenticate(
  verifier: Verifier,
  usage: UsageRecorder,
  now: () => number,
  token: string,
  options: { readonly clientIp: string | undefined; readonly strong: boolean; readonly counts: boolean },
): Promise<Caller> {
  const { clientIp, strong, counts } = options;
  const match = await verifier.match(token, strong);
  if (match === undefined) throw badCredentials();
  const status = statusOf(match, clientIp, now());
  if (status === 'ip-not-allowed') {
    throw new Failure('denied', 'ADDRESS_NOT_ALLOWED', 'the calling key may not be used from this address');
  }
  if (status !== 'valid') throw badCredentials();
  if (counts) countCall(match, usage, now());
  return match;
}

/**
 * A caller whose credential matched, where it is not to be refused. Does not count a use (see `countCall`).
 *
 * @param clientIp asked for only where the key is bound to addresses.
 */
export function judgedAtHand(
  match: Caller,
  now: number,
  clientIp: () => string | undefined,
): Caller | undefined {
  const ip = match.key.allowedCidrs.length === 0 ? undefined : clientIp();
  return statusOf(match, ip, now) === 'valid' ? match : undefined;
}

function statusOf({ key }: Caller, clientIp: string | undefined, now: number): VerifyStatus {
  return judge(key, { permissions: [], ...optional('clientIp', clientIp) }, now).status;
}

/** Other keys are counted where they are verified; a management key is only ever used by calling. */
export function countCall({ keyspace, key }: Caller, usage: UsageRecorder, now: number): void {
  if (keyspace.id === RESERVED_KEYSPACE) usage.count(key.id, now);
}

function badCredentials(): Failure {
  return new Failure('unauthenticated', 'CREDENTIALS_INVALID', 'the calling key is not valid');
}
