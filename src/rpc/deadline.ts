/** Deadlines: every unary call has one, so that none can wait for ever. */

import { Failure, invalid } from '../domain/failure.ts';
import type { Protocol } from './protocol.ts';

const DEFAULT_MS = 10_000;
const MAX_MS = 60_000;
// A stream lives as long as its client wants, up to what a timer can count.
const MAX_STREAM_MS = 24 * 60 * 60 * 1000;

const GRPC_TIMEOUT = /^(\d{1,8})([HMSmun])$/;
const CONNECT_TIMEOUT = /^\d{1,10}$/;
const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/**
 * Milliseconds that a call may take; undefined for a stream whose client named none. No header: 10 s. More than
 * 60 s: 60 s.
 *
 * @param value of the protocol's timeout header.
 * @throws Failure `invalid` for a header that does not parse.
 */
export function allowedMs(
  protocol: Protocol,
  value: string | undefined,
  streaming: boolean,
): number | undefined {
  if (value === undefined) return streaming ? undefined : DEFAULT_MS;
  const asked = protocol.name === 'connect' ? connectMs(value) : grpcMs(value);
  return Math.min(asked, streaming ? MAX_STREAM_MS : MAX_MS);
}

function grpcMs(value: string): number {
  const [, amount, unit] = GRPC_TIMEOUT.exec(value) ?? [];
  const factor = unit === undefined ? undefined : UNIT_MS[unit];
  if (amount === undefined || factor === undefined) {
    throw invalid('grpc-timeout', 'must be 1 to 8 digits and one of H, M, S, m, u, n, such as 500m');
  }
  return Number(amount) * factor;
}

function connectMs(value: string): number {
  if (!CONNECT_TIMEOUT.test(value)) {
    throw invalid('connect-timeout-ms', 'must be milliseconds in 1 to 10 digits, such as 500');
  }
  return Number(value);
}

export function deadlineExceeded(): Failure {
  return new Failure('deadline', 'DEADLINE_EXCEEDED', 'the call could not be answered in time');
}

/**
 * Waits for work, but no longer than until the signal aborts; then the signal's reason is thrown, whether the work
 * listens to the signal or not.
 *
 * @param late told of an error that came after the wait had ended.
 */
export async function orAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  late: (error: unknown) => void,
): Promise<T> {
  let stop = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => {
      work.catch(late);
      reject(signal.reason);
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop);
  });
  try {
    return await Promise.race([aborted, work]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
