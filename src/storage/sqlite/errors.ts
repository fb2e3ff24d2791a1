/** Why a data file could not be opened. Each message is one sentence, fit to be the last line of a failed start. */

import { StoreUnusable } from '../unusable.ts';

/** Another process holds the data file; two at once would each answer from a memory that the other's changes miss. */
export class StoreInUse extends Error {
  constructor(path: string, cause?: unknown) {
    super(`the data file ${path} is in use by another Gatehouse process`, { cause });
    this.name = 'StoreInUse';
  }
}

// Primary result codes of SQLite, https://sqlite.org/rescode.html.
const SQLITE_BUSY = 5;
const REASONS: Readonly<Record<number, string>> = {
  8: 'cannot be written',
  10: 'cannot be read or written',
  11: 'is damaged',
  13: 'cannot be written: the disk is full',
  14: 'cannot be opened: check that its folder exists and may be read and written',
  23: 'cannot be opened: access is denied',
  26: 'is not a Gatehouse data file',
};

/** What to tell of an error that SQLite threw while the data file was opened. */
export function openError(path: string, error: unknown): StoreInUse | StoreUnusable {
  if (error instanceof StoreInUse || error instanceof StoreUnusable) return error;
  const code = resultCode(error);
  if (code === SQLITE_BUSY) return new StoreInUse(path, error);
  const reason = code === undefined ? undefined : REASONS[code];
  return new StoreUnusable(`the data file ${path} ${reason ?? 'cannot be opened'}`, error);
}

/** What SQLite said that made a store unavailable, where it is of the disk; the rest of a sentence about the data file. */
export function diskReason(failure: unknown): string | undefined {
  const code = failure instanceof Error ? resultCode(failure.cause) : undefined;
  return code === undefined ? undefined : REASONS[code];
}

/** The primary code: SQLite puts what it knows more exactly into the bits above the first eight. */
function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number')
    return undefined;
  return error.errcode & 0xff;
}
