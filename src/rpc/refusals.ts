/** Refusals that say nothing of body or caller. */

import { Failure } from '../domain/failure.ts';
import type { MethodPolicy } from './policy.ts';
import { ACCEPTED_CONTENT_TYPES } from './protocol.ts';

export function methodNotAllowed(): Failure {
  return new Failure('unimplemented', 'METHOD_NOT_ALLOWED', 'use POST; a GET would put keys into URLs');
}

export function unsupportedType({ streaming }: MethodPolicy): Failure {
  const hint = streaming ? ' (a stream in Connect: application/connect+json)' : '';
  const message = `the content-type must be one of ${ACCEPTED_CONTENT_TYPES}${hint}`;
  return new Failure('invalid', 'UNSUPPORTED_MEDIA_TYPE', message);
}

export function needsHttp2(): Failure {
  return new Failure(
    'unimplemented',
    'NEEDS_HTTP2',
    'this method is a stream in both directions and needs HTTP/2',
  );
}

export function unknownMethod(): Failure {
  return new Failure('unimplemented', 'METHOD_UNKNOWN', 'there is no such method here');
}

/** @param what of the contract is not there: an RPC, a field, a value. */
export function notOffered(what: string): Failure {
  return new Failure('unimplemented', 'NOT_OFFERED', `${what}: this server does not offer it`);
}

export function nothingHere(): Failure {
  return new Failure('not-found', 'NOT_FOUND', 'there is nothing at this path');
}

export function readerTooSlow(): Failure {
  return new Failure('exhausted', 'READER_TOO_SLOW', 'the client does not read what it asked for', {
    retryAfterMs: 1000,
  });
}

export function stopping(): Failure {
  return new Failure('unavailable', 'STOPPING', 'the server is stopping; call again');
}
