/** `gatehouse serve`. */

import type { Command } from 'commander';
import type { Terminal } from './terminal.ts';

export function addServe(program: Command, terminal: Terminal): void {
  program
    .command('serve')
    .description('run the server; its settings come from the environment (GATEHOUSE_...)')
    .action(async () => {
      // Loaded here, so that no other command loads the server.
      const { serve } = await import('../main.ts');
      await serve(terminal.env);
    });
}
