/** Entry of the `gatehouse` command; exit codes are in exit-codes.ts. Started by bin/gatehouse.js. */

import { failureOf } from './failures.ts';
import { gatehouse } from './program.ts';
import type { Terminal } from './terminal.ts';

// `gatehouse keys list | head`: a reader that goes away is no fault, and what was begun is carried through.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

const terminal: Terminal = {
  env: process.env,
  stdin: process.stdin,
  stderr: process.stderr,
  width: process.stdout.isTTY ? process.stdout.columns : undefined,
  print: (text) => process.stdout.write(`${text}\n`),
  endWith: (code) => {
    process.exitCode = code;
  },
};

try {
  await gatehouse(terminal).parseAsync();
} catch (error) {
  const { lines, exitCode } = failureOf(error);
  for (const line of lines) process.stderr.write(`${line}\n`);
  // Not process.exit(): what is still on its way through a pipe would be lost.
  if (exitCode !== 0) process.exitCode = exitCode;
}
