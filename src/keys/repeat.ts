/**
 * Writes that are safe to repeat: what a caller's request_id led to is noted before anything is done, so that of two
 * calls with one id, at once or after a crash, one acts.
 */

import type { CallOrigin } from '../domain/caller.ts';
import { Failure } from '../domain/failure.ts';
import { keyedHash, REQUEST_TTL, type RequestRecord } from '../domain/request.ts';
import type { Parts } from './parts.ts';

export interface Repeatable {
  /**
   * What a call before has noted under this request_id.
   *
   * @throws Failure `already-exists` where the id was used with other content, `unavailable`.
   */
  known(): Promise<RequestRecord | undefined>;
  /** Notes what this call is to act on, where it is the first; else as `known`. */
  claim(keyId: string): Promise<RequestRecord>;
}

/**
 * @param requestId the client's, not empty.
 * @param content all else that was asked.
 */
export async function repeatable(
  { store, now }: Parts,
  { caller }: CallOrigin,
  rpc: 'CreateKey' | 'RotateKey',
  requestId: string,
  content: unknown,
): Promise<Repeatable> {
  const { macKey } = await store.readRegistry();
  const id = keyedHash(macKey, ['request', caller.key.id, rpc, requestId]);
  const fingerprint = keyedHash(macKey, ['content', content]);

  const known = async (): Promise<RequestRecord | undefined> => {
    const noted = await store.readRequest(id);
    if (noted === undefined) return undefined;
    if (noted.expireTime <= now()) {
      await store.releaseRequest(noted);
      return undefined;
    }
    if (noted.fingerprint === fingerprint) return noted;
    throw new Failure(
      'already-exists',
      'REQUEST_ID_REUSED',
      'request_id: was used for another request within the last 24 hours',
    );
  };
  return {
    known,
    async claim(keyId) {
      const mine = { keyId, id, fingerprint, expireTime: now() + REQUEST_TTL };
      for (;;) {
        if (await store.insertRequest(mine)) return mine;
        const noted = await known();
        if (noted !== undefined) return noted;
      }
    },
  };
}
