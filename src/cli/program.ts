/** The `gatehouse` command: which commands there are, and how one is run. */

import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { addServerOptions } from './connection.ts';
import { EXIT_CODES_HELP } from './exit-codes.ts';
import { addKeys } from './keys.ts';
import { addKeyspaces } from './keyspaces.ts';
import { addOwners } from './owners.ts';
import { addRootKey } from './root-key.ts';
import { addServe } from './serve.ts';
import { addStoreCopy } from './store-copy.ts';
import type { Terminal } from './terminal.ts';
import { addVerify } from './verify.ts';

/** A program that throws where commander would end the process. */
export function gatehouse(terminal: Terminal): Command {
  const program = new Command('gatehouse')
    .description('API-key authentication as a service')
    .version(version(), '-V, --version')
    .exitOverride()
    // Errors are written in one place, which makes them safe to show.
    .configureOutput({ outputError: () => undefined })
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('afterAll', EXIT_CODES_HELP);
  addServerOptions(program);
  addServe(program, terminal);
  addRootKey(program, terminal);
  addKeys(program, terminal);
  addVerify(program, terminal);
  addKeyspaces(program, terminal);
  addOwners(program, terminal);
  addStoreCopy(program, terminal);
  return program;
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : '';
}
