/** How a command ends, for scripts. */

import type { CodeName, RpcError } from '../client/rpc-error.ts';

export const ExitCode = { ok: 0, usage: 1, notValid: 2, refused: 3, noAnswer: 4 } as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** What each code means, for `--help`. */
export const EXIT_CODES_HELP = `
Exit codes:
  0  done; verify: the key is valid
  1  the command, a file, a setting or a store is wrong; store copy: the copy differs
  2  verify: the key is not valid
  3  refused by the server (invalid argument, denied, not found, conflict)
  4  no answer to be had (cannot connect, too late, overloaded), or keys revoke-all
     could not revoke some; trying again may help`;

const NO_ANSWER: readonly CodeName[] = [
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'CANCELLED',
  'INTERNAL',
  'UNKNOWN',
  'DATA_LOSS',
];

/** The exit code for a call that failed. */
export function exitCodeOf({ code, retryAfter }: RpcError): ExitCode {
  // Load that is shed says when to come back; a message that is too large never fits.
  if (code === 'RESOURCE_EXHAUSTED' && retryAfter !== undefined) return ExitCode.noAnswer;
  return NO_ANSWER.includes(code) ? ExitCode.noAnswer : ExitCode.refused;
}
