/** What happens to a call before a byte of its body is read: deadline, in-flight bound, caller. */

import type { Caller } from '../domain/caller.ts';
import { credentialsMissing } from './call.ts';
import { allowedMs } from './deadline.ts';
import type { Exchange } from './exchange.ts';
import type { Protocol } from './protocol.ts';
import { credentialOf, joinedValue, onBehalfOf } from './request-headers.ts';
import type { Running } from './running.ts';

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
    readonly signal: AbortSignal;
  },
) => Promise<Caller>;

export interface IntakeParts {
  readonly authenticate: Authenticate;
  readonly running: Running;
}

/**
 * Lets a call in.
 *
 * @returns what gives its place back; call it once, when the call has been answered.
 * @throws Failure for a bad timeout, too many calls, a caller who may not.
 */
export async function admit(
  { authenticate, running }: IntakeParts,
  exchange: Exchange,
  protocol: Protocol,
): Promise<() => void> {
  const { headers, policy } = exchange;
  exchange.startDeadline(allowedMs(protocol, joinedValue(headers, protocol.timeoutHeader), policy.streaming));
  exchange.onBehalfOf = onBehalfOf(headers);
  const release = running.admit(policy);
  try {
    await authenticateCaller(authenticate, exchange);
    return release;
  } catch (error) {
    release();
    throw error;
  }
}

async function authenticateCaller(authenticate: Authenticate, exchange: Exchange): Promise<void> {
  const { policy, signal, peerAddress: clientIp } = exchange;
  if (policy.access === 'public') return;
  const token = credentialOf(exchange.headers);
  if (token !== undefined) {
    exchange.caller = await exchange.orAborted(
      authenticate(token, { clientIp, strong: policy.strong, signal }),
    );
  } else if (policy.access === 'required') {
    throw credentialsMissing();
  }
}
