/** Which owner a command is about. */

import type { Command } from 'commander';
import { parseOwner } from './values.ts';

/** The owner as the command's argument, and `keyspace` among the options: the same name elsewhere is another owner. */
export function addOwnerArgument(command: Command): Command {
  return command
    .argument('<kind:id>', 'the owner, such as user:42', parseOwner)
    .requiredOption('--keyspace <id>', 'keyspace that the owner belongs to');
}

/** What the argument is read as. */
export interface OwnerArgument {
  readonly kind: string;
  readonly id: string;
}
