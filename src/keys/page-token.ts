/**
 * Page tokens: where a listing goes on, bound to its filter and caller by a MAC, so that a token is of no
 * use to another caller or with another filter and cannot be made up.
 */

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { KeyPosition } from '../storage/key-store.ts';

/**
 * @param macKey the registry's.
 * @param listing what the token is bound to: filter and caller.
 */
export function makePageToken(macKey: string, listing: unknown, { createTime, id }: KeyPosition): string {
  const position = Buffer.from(JSON.stringify([createTime, id])).toString('base64url');
  return `${position}.${mac(macKey, listing, position)}`;
}

/** The place that a token stands for, or undefined where it was not made for this listing. */
export function readPageToken(macKey: string, listing: unknown, token: string): KeyPosition | undefined {
  const [position = '', given = ''] = token.split('.');
  const expected = Buffer.from(mac(macKey, listing, position));
  const actual = Buffer.from(given);
  if (actual.length !== expected.length || !timingSafeEqual(actual, expected)) return undefined;
  const [createTime, id] = JSON.parse(Buffer.from(position, 'base64url').toString()) as [number, string];
  return { createTime, id };
}

function mac(macKey: string, listing: unknown, position: string): string {
  return createHmac('sha256', Buffer.from(macKey, 'base64url'))
    .update(JSON.stringify([listing, position]))
    .digest('base64url');
}
