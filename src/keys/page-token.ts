/**
 * Page tokens: where a listing (or a stream) goes on, bound to its filter and caller by a MAC, so that a token is of no
 * use to another caller or with another filter and cannot be made up.
 */

import { createHmac, timingSafeEqual } from 'node:crypto';
import { type Failure, invalid } from '../domain/failure.ts';

/**
 * @param macKey the registry's.
 * @param listing what the token is bound to: the kind of listing, its filter and its caller.
 * @param position where it goes on; any JSON value.
 */
export function makePageToken(macKey: string, listing: unknown, position: unknown): string {
  const text = Buffer.from(JSON.stringify(position)).toString('base64url');
  return `${text}.${mac(macKey, listing, text)}`;
}

/**
 * The place that a token stands for, as it was given to makePageToken for the same listing.
 *
 * @param refusal of a token that was not made for this listing.
 * @throws Failure `invalid`.
 */
export function readPageToken<Position>(
  macKey: string,
  listing: unknown,
  token: string,
  refusal = foreignPageToken,
): Position {
  const [text = '', given = ''] = token.split('.');
  const expected = Buffer.from(mac(macKey, listing, text));
  const actual = Buffer.from(given);
  if (actual.length !== expected.length || !timingSafeEqual(actual, expected)) throw refusal();
  return JSON.parse(Buffer.from(text, 'base64url').toString()) as Position;
}

function foreignPageToken(): Failure {
  return invalid(
    'page_token',
    'must be the next_page_token of the same listing, asked for by the same caller',
  );
}

function mac(macKey: string, listing: unknown, position: string): string {
  return createHmac('sha256', Buffer.from(macKey, 'base64url'))
    .update(JSON.stringify([listing, position]))
    .digest('base64url');
}
