/** What a request_id led to, for a day, so that a write may be repeated by who did not see its answer. */

import { createHmac } from 'node:crypto';

/** How long a request_id is remembered, in milliseconds. */
export const REQUEST_TTL = 24 * 3_600_000;

export interface RequestRecord {
  /** A keyed hash of caller, RPC and request_id. */
  readonly id: string;
  /** A keyed hash of all that was asked: the same request_id with other content is a mistake. */
  readonly fingerprint: string;
  /** The key that was to be made, or rotated. */
  readonly keyId: string;
  /** Set once it is known to have been done. A key that is there, or names this record, tells as well. */
  readonly done?: true;
  /** Forgotten from this moment on (milliseconds since 1970). */
  readonly expireTime: number;
}

/** Names one record: the same id may be noted anew once it was forgotten, and that is another request. */
export type RequestName = Pick<RequestRecord, 'id' | 'expireTime'>;

/**
 * A keyed hash of some values, in their order. Property names of objects are sorted, so how a request was written does
 * not matter.
 *
 * @param key of the store (`Registry.macKey`): what is stored tells nothing to whoever lacks it.
 */
export function keyedHash(key: string, values: readonly unknown[]): string {
  return createHmac('sha256', Buffer.from(key, 'base64url'))
    .update(JSON.stringify(values, sorted))
    .digest('base64url');
}

function sorted(_name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
}
