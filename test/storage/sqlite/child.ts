/** Processes of its own that a test starts, each on one of the programs beside this file. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

export interface Child {
  readonly process: ChildProcess;
  /** Lines of its standard output, one after the other. */
  readonly lines: AsyncIterator<string>;
  /** Ends it at once, without its knowing (SIGKILL), and waits until it has ended. */
  kill(): Promise<void>;
}

/**
 * Starts a program with this Node; it is killed when the test has ended, at the latest.
 * @param before a command, with its arguments, that runs Node, such as one that sets limits.
 */
export function startChild(file: string, args: readonly string[], before: readonly string[] = []): Child {
  const program = fileURLToPath(new URL(file, import.meta.url));
  const [command = process.execPath, ...rest] = [...before, process.execPath, program, ...args];
  const child = spawn(command, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  onTestFinished(kill);
  return { process: child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator](), kill };
}

/** The next line of a child that must not have ended. */
export async function nextLine(child: Child): Promise<string> {
  const { value, done } = await child.lines.next();
  if (done === true) throw new Error('the child ended without a word');
  return value;
}
