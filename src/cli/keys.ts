/** `gatehouse keys`, and of its commands `create` and `get`. */

import { durationFromMs, type Timestamp } from '@bufbuild/protobuf/wkt';
import { type Command, Option } from 'commander';
import {
  type CreateKeyRequest,
  CreateKeyResponseSchema,
  GetKeyResponseSchema,
  KeyService,
} from '../gen/gatehouse/v1/key_service_pb.js';
import { requestId } from './change-options.ts';
import { type ServerOptions, withClient } from './connection.ts';
import { addKeyFields, expires, inherits, neverExpires } from './key-options.ts';
import { keyRows } from './key-view.ts';
import { addKeysList } from './keys-list.ts';
import { addKeysRevoke } from './keys-revoke.ts';
import { addKeysRevokeAll } from './keys-revoke-all.ts';
import { addKeysRotate } from './keys-rotate.ts';
import { addKeysUpdate } from './keys-update.ts';
import { withSecret } from './new-secret.ts';
import { printAnswer } from './print-answer.ts';
import { details } from './table.ts';
import type { Terminal } from './terminal.ts';
import { parseOwner, parseSpan } from './values.ts';

interface CreateOptions extends ServerOptions {
  readonly keyspace: string;
  readonly name: string;
  readonly owner?: { kind: string; id: string };
  readonly project?: string;
  readonly permission?: string[];
  readonly inheritOwnerPermissions?: true;
  readonly metadata?: Record<string, string>;
  readonly cidr?: string[];
  readonly ttl?: number;
  readonly expires?: Timestamp;
  readonly neverExpires?: true;
  readonly requestId?: string;
}

export function addKeys(program: Command, terminal: Terminal): void {
  const keys = program.command('keys').description('make, look at, change, rotate and revoke keys');
  addCreate(keys, terminal);
  addGet(keys, terminal);
  addKeysList(keys, terminal);
  addKeysUpdate(keys, terminal);
  addKeysRotate(keys, terminal);
  addKeysRevoke(keys, terminal);
  addKeysRevokeAll(keys, terminal);
}

function addCreate(keys: Command, terminal: Terminal): void {
  const command = keys
    .command('create')
    .description('make a key and print its secret, this once')
    .requiredOption('--keyspace <id>', 'keyspace to make it in')
    .requiredOption('--name <name>', 'name for people')
    .option('--owner <kind:id>', 'whose it is, such as user:42', parseOwner)
    .option('--project <project>', 'the one project that it is bound to');
  addKeyFields(command)
    .addOption(inherits().conflicts('permission'))
    .addOption(
      new Option('--ttl <duration>', 'live this long, such as 30d').argParser(parseSpan).conflicts('expires'),
    )
    .addOption(expires())
    .addOption(neverExpires())
    .addOption(requestId())
    .action(async () => {
      const options = command.optsWithGlobals<CreateOptions>();
      const answer = await withClient(terminal, options, KeyService, (client) =>
        client.createKey({
          keyspace: options.keyspace,
          name: options.name,
          ...(options.owner === undefined ? {} : { owner: options.owner }),
          project: options.project ?? '',
          permissions: options.permission ?? [],
          inheritOwnerPermissions: options.inheritOwnerPermissions ?? false,
          metadata: options.metadata ?? {},
          allowedCidrs: options.cidr ?? [],
          expiry: expiryOf(options),
          requestId: options.requestId ?? '',
        }),
      );
      printAnswer(terminal, options, CreateKeyResponseSchema, answer, () => withSecret(answer));
    });
}

function expiryOf({ ttl, expires, neverExpires }: CreateOptions): CreateKeyRequest['expiry'] {
  if (ttl !== undefined) return { case: 'ttl', value: durationFromMs(ttl) };
  if (expires !== undefined) return { case: 'expireTime', value: expires };
  return neverExpires ? { case: 'neverExpires', value: true } : { case: undefined };
}

function addGet(keys: Command, terminal: Terminal): void {
  const command = keys.command('get <id>').description('show one key, without its secret');
  command.action(async (id: string) => {
    const options = command.optsWithGlobals<ServerOptions>();
    const answer = await withClient(terminal, options, KeyService, (client) => client.getKey({ id }));
    printAnswer(terminal, options, GetKeyResponseSchema, answer, () => details(keyRows(answer.key)));
  });
}
