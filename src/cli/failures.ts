/** What a person reads when a command fails: one line, and one for each field that is wrong. Never a stack. */

import { CommanderError } from 'commander';
import { RpcError } from '../client/rpc-error.ts';
import { CopyBroken } from '../storage/copy/side.ts';
import { StoreUnreachable } from '../storage/unusable.ts';
import { shown } from './escape.ts';
import { ExitCode, exitCodeOf } from './exit-codes.ts';
import { FormatDiffers } from './keyspaces-apply.ts';

export interface ShownFailure {
  /** Lines for stderr, safe to show; none where all is said. */
  readonly lines: readonly string[];
  readonly exitCode: ExitCode;
}

/** What was thrown, as it is shown, and the exit code for it. */
export function failureOf(error: unknown): ShownFailure {
  if (error instanceof CommanderError) return commandLine(error);
  if (error instanceof RpcError) return { lines: rpcLines(error), exitCode: exitCodeOf(error) };
  return { lines: [line(error instanceof Error ? error.message : String(error))], exitCode: codeOf(error) };
}

function codeOf(error: unknown): ExitCode {
  if (error instanceof FormatDiffers) return ExitCode.refused;
  if (error instanceof StoreUnreachable || error instanceof CopyBroken) return ExitCode.noAnswer;
  return ExitCode.usage;
}

function commandLine({ message, code, exitCode }: CommanderError): ShownFailure {
  // Help and version are answers, and are written by then.
  if (exitCode === 0) return { lines: [], exitCode: ExitCode.ok };
  if (code === 'commander.help') return { lines: [], exitCode: ExitCode.usage };
  const [first = '', ...more] = message.replace(/^error: /, '').split('\n');
  return { lines: [line(masked(first)), ...more.map((one) => shown(masked(one)))], exitCode: ExitCode.usage };
}

function rpcLines({ code, reason, message, violations }: RpcError): string[] {
  const kind = reason === undefined || reason === code ? code : `${code}, ${reason}`;
  if (violations.length === 0) return [line(`${message} (${kind})`)];
  const fields = violations.map(({ field, description }) => shown(`  ${field}: ${description}`));
  return [line(`the request is not valid (${kind})`), ...fields];
}

function line(message: string): string {
  return shown(`error: ${message}`);
}

// Commander repeats what it does not understand, and that may be a key in the wrong place. It names options as well, and
// a key neither begins like one nor is it of lower-case letters alone.
function masked(text: string): string {
  return text
    .replaceAll(/\S*:\/\/\S*/g, '…')
    .replaceAll(/[\w.-]{24,}/g, (found) => (/^--[a-z]+(-[a-z]+)*$/.test(found) ? found : '…'));
}
