/** `gatehouse root-key`. */

import type { Command } from 'commander';
import { builtInKeyspaces } from '../domain/keyspace.ts';
import { RESERVED_KEYSPACE } from '../domain/permissions.ts';
import { mintToken } from '../domain/token.ts';
import type { Terminal } from './terminal.ts';

export function addRootKey(program: Command, terminal: Terminal): void {
  program
    .command('root-key')
    .description('mint a root key for GATEHOUSE_ROOT_KEY and print it, and nothing else; calls no server')
    .action(() => {
      const format = builtInKeyspaces(0).find((one) => one.id === RESERVED_KEYSPACE);
      if (format === undefined) throw new Error('the reserved keyspace is missing');
      terminal.print(mintToken(format));
    });
}
