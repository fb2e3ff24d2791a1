/** What happens to a call before its handler: deadline, caller, body. */

import type { Caller } from '../domain/caller.ts';
import { Failure } from '../domain/failure.ts';
import { readMessage } from './body.ts';
import { credentialsMissing } from './call.ts';
import { allowedMs } from './deadline.ts';
import type { Exchange } from './exchange.ts';
import type { HeldBytes } from './held.ts';
import type { Protocol } from './protocol.ts';
import { credentialOf, joinedValue, onBehalfOf } from './request-headers.ts';

/** A body of at most 4 MiB takes a moment; one that is held back only keeps memory. */
const BODY_MS = 5000;

/**
 * The caller behind a credential.
 *
 * @throws Failure `unauthenticated`, the same for whatever makes a key bad; `denied` for an address that it may not be
 *   used from; `unavailable`.
 */
export type Authenticate = (
  token: string,
  options: {
    /** Address of the TCP peer. */
    readonly clientIp: string | undefined;
    /** Judge the caller against the system of record. */
    readonly strong: boolean;
    /** Whether this is a use of the key. */
    readonly counts: boolean;
    readonly signal: AbortSignal;
  },
) => Promise<Caller>;

/** What of the headers holds for the whole call. @throws Failure for a bad timeout or on-behalf-of. */
export function openCall(exchange: Exchange, protocol: Protocol): void {
  const { headers, policy } = exchange;
  exchange.startDeadline(allowedMs(protocol, joinedValue(headers, protocol.timeoutHeader), policy.streaming));
  exchange.onBehalfOf = onBehalfOf(headers);
}

/**
 * Finds out who calls.
 *
 * @param final false: only so that no stranger's body is read. The caller is judged again when the body is there, since
 *   whoever holds a body back may have been revoked meanwhile.
 * @throws Failure for a caller who may not.
 */
export async function identifyCaller(
  authenticate: Authenticate,
  exchange: Exchange,
  final: boolean,
): Promise<void> {
  const { policy, signal, peerAddress: clientIp } = exchange;
  if (policy.access === 'public') return;
  const token = credentialOf(exchange.headers);
  if (token === undefined) {
    if (policy.access === 'required') throw credentialsMissing();
    return;
  }
  const judge = (strong: boolean, counts: boolean) =>
    exchange.orAborted(authenticate(token, { clientIp, strong, counts, signal }));
  exchange.caller = await judge(final && policy.strong, final);
  exchange.judgeAgain = () => judge(policy.strong, false);
}

/** Reads a call's one message, for as long as nobody has to wait for it. */
export async function readBody(
  exchange: Exchange,
  protocol: Protocol,
  compressed: boolean,
  bodies: HeldBytes,
): Promise<Uint8Array> {
  const timer = setTimeout(() => exchange.abort(bodyTooSlow()), BODY_MS);
  const held = bodies.begin(() => exchange.abort(tooManyBodies()));
  const bounds = { maxBytes: exchange.policy.maxBytes, grew: held.grew };
  try {
    return await exchange.orAborted(readMessage(exchange, protocol, bounds, compressed));
  } finally {
    clearTimeout(timer);
    held.done();
  }
}

function tooManyBodies(): Failure {
  return new Failure(
    'exhausted',
    'TOO_MANY_IN_FLIGHT',
    'too many bodies are being waited for; try again soon',
    {
      retryAfterMs: 1000,
    },
  );
}

function bodyTooSlow(): Failure {
  return new Failure('deadline', 'BODY_TOO_SLOW', `the body did not come within ${BODY_MS / 1000} seconds`);
}
