/** What happens to a call before a byte of its body is read: deadline, in-flight bound, caller. */

import type { Caller } from '../domain/caller.ts';
import { Failure } from '../domain/failure.ts';
import { COMPRESSION } from './body.ts';
import { credentialsMissing } from './call.ts';
import { allowedMs, orAborted } from './deadline.ts';
import type { Exchange } from './exchange.ts';
import type { MethodPolicy } from './policy.ts';
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
  readonly late: (exchange: Exchange, error: unknown) => void;
}

/** A call that was let in. */
export interface Admission {
  /** How its messages are compressed; undefined: not. */
  readonly encoding: string | undefined;
  /** Call it once, when the call has been answered. */
  readonly release: () => void;
}

/**
 * Lets a call in.
 *
 * @throws Failure for a bad timeout, an unknown compression, too many calls, a caller who may not.
 */
export async function admit(
  parts: IntakeParts,
  exchange: Exchange,
  policy: MethodPolicy,
  protocol: Protocol,
): Promise<Admission> {
  const { headers } = exchange;
  exchange.startDeadline(allowedMs(protocol, joinedValue(headers, protocol.timeoutHeader), policy.streaming));
  const encoding = joinedValue(headers, protocol.encodingHeader);
  if (encoding !== undefined && encoding !== 'identity' && encoding !== COMPRESSION.name)
    throw unknownCompression();
  exchange.onBehalfOf = onBehalfOf(headers);
  const release = parts.running.admit(policy);
  try {
    await authenticateCaller(parts, exchange, policy);
    return { encoding, release };
  } catch (error) {
    release();
    throw error;
  }
}

async function authenticateCaller(
  parts: IntakeParts,
  exchange: Exchange,
  policy: MethodPolicy,
): Promise<void> {
  if (policy.access === 'public') return;
  const token = credentialOf(exchange.headers);
  if (token === undefined) {
    if (policy.access === 'required') throw credentialsMissing();
    return;
  }
  const { signal, peerAddress: clientIp } = exchange;
  const authenticated = parts.authenticate(token, { clientIp, strong: policy.strong, signal });
  exchange.caller = await orAborted(authenticated, signal, (error) => parts.late(exchange, error));
}

function unknownCompression(): Failure {
  const message = `the compression is not known here; accepted are identity and ${COMPRESSION.name}`;
  return new Failure('unimplemented', 'COMPRESSION_UNKNOWN', message);
}
