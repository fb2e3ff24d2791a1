/** What a command knows of the process it runs in. */

import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import type { ExitCode } from './exit-codes.ts';

export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: NodeJS.ReadStream;
  /** For what is no result: how far a command is. */
  readonly stderr: NodeJS.WritableStream;
  /** Columns of the screen; undefined: the output is no screen, and nothing is cut to fit it. */
  readonly width: number | undefined;
  /** Writes text and a line feed to stdout. What it holds is safe to show already. */
  print(text: string): void;
  /** Ends the process with this code once the command has returned. */
  endWith(code: ExitCode): void;
}

/** A command line, a file or a setting that cannot be carried out; the message is the sentence to show. */
export class BadUsage extends Error {}

/** A value of the environment; an empty one is none, as compose files and shells say "unset". */
export function setting(terminal: Terminal, name: string): string | undefined {
  const value = terminal.env[name];
  return value === '' ? undefined : value;
}

/**
 * All of stdin as text.
 *
 * @param most bytes; a pipe that never ends must not fill the memory.
 * @throws BadUsage where there is more.
 */
export async function readStdin(terminal: Terminal, most: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of terminal.stdin) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > most) throw new BadUsage(`stdin holds more than ${most} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Beyond what a server takes, so that it is the server that says what is too long. */
const MOST_KEY_BYTES = 65_536;

/**
 * A key from stdin: unlike an argument, no other user of the machine sees it there.
 *
 * @param example of a command that pipes it in.
 * @throws BadUsage where stdin is the keyboard, on which the key would be shown.
 */
export async function readKeyFromStdin(terminal: Terminal, example: string): Promise<string> {
  if (terminal.stdin.isTTY) throw new BadUsage(`no key on stdin: pipe it in, such as \`${example}\``);
  return readStdin(terminal, MOST_KEY_BYTES);
}

/** The text of a file that an option or a setting names. @throws BadUsage where it cannot be read. */
export function readTextFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw new BadUsage(`${file}: ${missing ? 'there is no such file' : 'cannot be read'}`);
  }
}
