/** What is read from a call's headers: the credential, the ids. Read raw, because Node hides repeated ones. */

import { Failure, invalid } from '../domain/failure.ts';
import { randomText } from '../domain/token.ts';
import { credentialsMissing } from './call.ts';

/** Names and values in turn, as node:http and node:http2 give them. */
export type RawHeaders = readonly string[];

const MAX_ON_BEHALF_OF = 256;
const PRINTABLE = /^[\x20-\x7e]*$/;
const REQUEST_ID = /^[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?$/;
const BEARER = /^bearer +(\S+)$/i;
const PROCESS = randomText('base62', 16);
let count = 0;

/** All values of one header, in the order in which they came. */
function headerValues(raw: RawHeaders, name: string): string[] {
  const values: string[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    if (raw[index]?.toLowerCase() === name) values.push(raw[index + 1]?.trim() ?? '');
  }
  return values;
}

/** The only value of a header; undefined where it is absent or repeated. */
export function onlyValue(raw: RawHeaders, name: string): string | undefined {
  const values = headerValues(raw, name);
  return values.length === 1 ? values[0] : undefined;
}

/** All values of a header as one, which no parser accepts where there was more than one; undefined for none. */
export function joinedValue(raw: RawHeaders, name: string): string | undefined {
  const values = headerValues(raw, name);
  return values.length === 0 ? undefined : values.join(', ');
}

/**
 * The caller's key or session token; undefined where none was sent.
 *
 * @throws Failure `unauthenticated`: AMBIGUOUS_CREDENTIALS where a proxy and this service might each take another
 *   one, CREDENTIALS_MISSING for an empty one, CREDENTIALS_INVALID for another scheme than Bearer.
 */
export function credentialOf(raw: RawHeaders): string | undefined {
  const authorization = headerValues(raw, 'authorization');
  const apiKey = headerValues(raw, 'x-api-key');
  const all = [...authorization, ...apiKey];
  if (authorization.length > 1 || apiKey.length > 1 || all.some((value) => value.includes(',')))
    throw ambiguous();
  const [first, second] = [...authorization.map(bearerToken), ...apiKey.map(plainToken)];
  if (second !== undefined && second !== first) throw ambiguous();
  return first;
}

function bearerToken(value: string): string {
  if (value === '' || /^bearer$/i.test(value)) throw credentialsMissing();
  const token = bareCredential(value);
  if (token === undefined) throw credentialsInvalid();
  return token;
}

/** The token of an authorization value of the Bearer scheme. */
export function bareCredential(value: string): string | undefined {
  return BEARER.exec(value)?.[1];
}

function plainToken(value: string): string {
  if (value === '') throw credentialsMissing();
  return value;
}

function ambiguous(): Failure {
  return new Failure(
    'unauthenticated',
    'AMBIGUOUS_CREDENTIALS',
    'more than one credential was sent: send one authorization or one x-api-key header',
  );
}

// The same words as for a key that is unknown, revoked or expired.
function credentialsInvalid(): Failure {
  return new Failure('unauthenticated', 'CREDENTIALS_INVALID', 'the calling key is not valid');
}

/** The client's id of the request where it is 1 to 128 printable ASCII characters, else a new one. */
export function requestIdOf(raw: RawHeaders): string {
  return givenRequestId(onlyValue(raw, 'x-request-id')) ?? newRequestId();
}

/** The client's id of the request, where it is one. */
export function givenRequestId(value: string | undefined): string | undefined {
  const given = value?.trim();
  return given !== undefined && REQUEST_ID.test(given) ? given : undefined;
}

/** Ids are told apart, not kept secret: a count in each process is enough, and takes a tenth of a random one's time. */
export function newRequestId(): string {
  return `req_${PROCESS}${(++count).toString(36).padStart(9, '0')}`;
}

/** @throws Failure `invalid` where it is longer than 256, not printable or repeated. */
export function onBehalfOf(raw: RawHeaders): string | undefined {
  const name = 'x-gatehouse-on-behalf-of';
  const values = headerValues(raw, name).filter((value) => value !== '');
  const [value] = values;
  if (values.length > 1) throw invalid(name, 'must be sent once');
  if (value !== undefined && (value.length > MAX_ON_BEHALF_OF || !PRINTABLE.test(value))) {
    throw invalid(name, `must be at most ${MAX_ON_BEHALF_OF} printable ASCII characters`);
  }
  return value;
}
