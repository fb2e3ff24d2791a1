/** How a command reaches a running server: the options for it, and one place that opens and closes the client. */

import type { GenService, GenServiceMethods } from '@bufbuild/protobuf/codegenv2';
import type { Command } from 'commander';
import type { GrpcClient } from '../client/grpc.ts';
import { RpcError } from '../client/rpc-error.ts';
import { callersKey, type KeyOptions } from './callers-key.ts';
import { namingServer } from './no-connection.ts';
import { BadUsage, readTextFile, setting, type Terminal } from './terminal.ts';
import { parseTimeout } from './values.ts';

/** Options of every command that calls a server. */
export interface ServerOptions extends KeyOptions {
  readonly server?: string;
  /** Milliseconds. */
  readonly timeout?: number;
  readonly ca?: string;
  readonly cert?: string;
  readonly certKey?: string;
  readonly json?: true;
}

const DEFAULT_SERVER = '127.0.0.1:50051';
const DEFAULT_TIMEOUT = 10_000;

export function addServerOptions(program: Command): void {
  program
    .option(
      '--server <address>',
      `host:port or https://host:port ($GATEHOUSE_SERVER, else ${DEFAULT_SERVER})`,
    )
    .option(
      '--key <key>',
      'key to call with; other users of this machine can see it, so rather set $GATEHOUSE_KEY',
    )
    .option('--key-file <file>', 'file that holds the key ($GATEHOUSE_KEY_FILE)')
    .option('--timeout <duration>', 'longest wait for each call, 10s if not given', parseTimeout)
    .option('--ca <file>', 'PEM certificates to trust instead of the usual ones')
    .option('--cert <file>', "this client's PEM certificate, where the server asks for one")
    .option('--cert-key <file>', 'its PEM key')
    .option('--json', "print one JSON document in protobuf's mapping");
}

/**
 * Opens a client of the service, lets `use` call it, and closes it whatever happens.
 *
 * @param anonymous whether the server may know what to do without a key.
 * @throws BadUsage for a bad option, file or setting. RpcError for a failed call.
 */
export async function withClient<Methods extends GenServiceMethods, Result>(
  terminal: Terminal,
  options: ServerOptions,
  service: GenService<Methods>,
  use: (client: GrpcClient<Methods>) => Promise<Result>,
  anonymous = false,
): Promise<Result> {
  const server = options.server ?? setting(terminal, 'GATEHOUSE_SERVER') ?? DEFAULT_SERVER;
  const timeout = options.timeout ?? DEFAULT_TIMEOUT;
  const token = callersKey(terminal, options);
  if (token === undefined && !anonymous) {
    throw new BadUsage('no key to call with: set GATEHOUSE_KEY or GATEHOUSE_KEY_FILE, or give --key-file');
  }
  const [ca, cert, key] = [options.ca, options.cert, options.certKey].map(
    (file) => file && readTextFile(file),
  );
  // Of a library, and nothing that the person at the terminal could change.
  process.noDeprecation = true;
  // Loaded here, so that `serve` and `root-key` never hold a gRPC client in memory.
  const { createGrpcClient } = await import('../client/grpc.ts');
  const client = openOrSay(() =>
    createGrpcClient(service, server, { token, timeout, tls: { ca, cert, key } }),
  );
  try {
    return await use(client);
  } catch (error) {
    throw error instanceof RpcError ? namingServer(error, server, timeout) : error;
  } finally {
    client.close();
  }
}

function openOrSay<Client>(open: () => Client): Client {
  try {
    return open();
  } catch (error) {
    throw new BadUsage(error instanceof Error ? error.message : 'the server cannot be called');
  }
}
