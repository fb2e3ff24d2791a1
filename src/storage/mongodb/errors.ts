/** What the driver throws, in Gatehouse's words. Its own messages stay in `cause`, for the log alone. */

import { MongoBulkWriteError, MongoServerError } from 'mongodb';
import { StoreUnusable } from '../unusable.ts';

const DUPLICATE_KEY = 11_000;
/** Unauthorized, AuthenticationFailed. */
const REFUSED = [13, 18];

/** Whether a write found its `_id` taken. */
export function isDuplicate(error: unknown): boolean {
  return error instanceof MongoServerError && error.code === DUPLICATE_KEY;
}

/** Whether of many inserts all that failed found their `_id` taken. */
export function isOnlyDuplicates(error: unknown): boolean {
  if (!(error instanceof MongoBulkWriteError)) return isDuplicate(error);
  const written = error.result.getWriteConcernError() === undefined;
  return written && [error.writeErrors].flat().every(({ code }) => code === DUPLICATE_KEY);
}

/** Why a start over this database could not be; never with the URI, which may hold a password. */
export function openError(place: string, error: unknown): StoreUnusable {
  if (error instanceof StoreUnusable) return error;
  if (error instanceof MongoServerError && REFUSED.includes(Number(error.code))) {
    return new StoreUnusable(`MongoDB at ${place} refuses the user or password of MONGODB_URI`, error);
  }
  return new StoreUnusable(`MongoDB at ${place} cannot be reached`, error);
}
