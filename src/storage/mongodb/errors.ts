/** What the driver throws, in Gatehouse's words. Its own messages stay in `cause`, for the log alone. */

import { MongoBulkWriteError, MongoServerError } from 'mongodb';
import { StoreUnreachable, StoreUnusable } from '../unusable.ts';

const DUPLICATE_KEY = 11_000;
const UNAUTHORIZED = 13;
const AUTHENTICATION_FAILED = 18;

/** Whether a write found its `_id` taken. */
export function isDuplicate(error: unknown): boolean {
  return error instanceof MongoServerError && error.code === DUPLICATE_KEY;
}

/** Whether of many inserts all that failed found their `_id` taken. */
export function isOnlyDuplicates(error: unknown): boolean {
  if (!(error instanceof MongoBulkWriteError)) return isDuplicate(error);
  // Without a failed write it is the whole command that failed, and the driver only dresses it up as one of these.
  const failed = [error.writeErrors].flat();
  const written = failed.length > 0 && error.result.getWriteConcernError() === undefined;
  return written && failed.every(({ code }) => code === DUPLICATE_KEY);
}

/** Which of the documents of one insert, by their places in it, found their `_id` taken. @throws what else went wrong. */
export function duplicatesOf(error: unknown): number[] {
  if (!(error instanceof MongoBulkWriteError) || !isOnlyDuplicates(error)) throw error;
  return [error.writeErrors].flat().map(({ index }) => index);
}

/** Why a start over this database could not be; never with the URI, which may hold a password. */
export function openError(place: string, error: unknown): StoreUnusable {
  if (error instanceof StoreUnusable) return error;
  if (error instanceof MongoServerError && error.code === AUTHENTICATION_FAILED) {
    return new StoreUnusable(
      `MongoDB at ${place} refuses the user or password (or authSource names another database than the one they are kept in)`,
      error,
    );
  }
  if (error instanceof MongoServerError && error.code === UNAUTHORIZED) {
    return new StoreUnusable(
      `MongoDB at ${place} asks for a user with readWrite on this database; the one of the URI lacks it, or there is none`,
      error,
    );
  }
  return new StoreUnreachable(`MongoDB at ${place} cannot be used: ${reasonOf(error)}`, error);
}

/** The name of what went wrong at the bottom of it: never the driver's message, which may quote the URI. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const inner = error.cause === undefined ? undefined : reasonOf(error.cause);
  const { codeName, code } = error as { readonly codeName?: unknown; readonly code?: unknown };
  const own = [codeName, code].find((one) => typeof one === 'string' && /^[A-Za-z0-9_]{1,64}$/.test(one));
  return inner ?? (typeof own === 'string' ? own : error.name);
}
