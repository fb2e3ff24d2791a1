/** `gatehouse owners get | list`, and `update`. */

import { create } from '@bufbuild/protobuf';
import { type Command, Option } from 'commander';
import { optional } from '../domain/optional.ts';
import {
  GetOwnerResponseSchema,
  ListOwnersResponseSchema,
  OwnerService,
} from '../gen/gatehouse/v1/owner_service_pb.js';
import { allPages, LARGEST_PAGE } from './all-pages.ts';
import { type ServerOptions, withClient } from './connection.ts';
import { addOwnerArgument, type OwnerArgument } from './owner-argument.ts';
import { OWNER_COLUMNS, ownerRows } from './owner-view.ts';
import { addOwnersUpdate } from './owners-update.ts';
import { printAnswer } from './print-answer.ts';
import { details, table } from './table.ts';
import type { Terminal } from './terminal.ts';

interface ListOptions extends ServerOptions {
  readonly keyspace?: string;
  readonly kind?: string;
  readonly disabled?: true;
  readonly enabled?: true;
}

export function addOwners(program: Command, terminal: Terminal): void {
  const owners = program
    .command('owners')
    .description('look at and change what is recorded of owners: what bounds or stops all their keys');
  addGet(owners, terminal);
  addList(owners, terminal);
  addOwnersUpdate(owners, terminal);
}

function addGet(owners: Command, terminal: Terminal): void {
  const command = owners
    .command('get')
    .description('show the record of one owner; one that has none is not bounded and not disabled');
  addOwnerArgument(command).action(async (owner: OwnerArgument) => {
    const options = command.optsWithGlobals<ServerOptions & { keyspace: string }>();
    const answer = await withClient(terminal, options, OwnerService, (client) =>
      client.getOwner({ ...owner, keyspace: options.keyspace }),
    );
    printAnswer(terminal, options, GetOwnerResponseSchema, answer, () => details(ownerRows(answer.owner)));
  });
}

function addList(owners: Command, terminal: Terminal): void {
  const command = owners
    .command('list')
    .description('list all owners that have a record and that the key may read')
    .option('--keyspace <id>', 'only of this keyspace')
    .option('--kind <kind>', 'only of this kind, such as user')
    .addOption(new Option('--disabled', 'only those that are disabled').conflicts('enabled'))
    .option('--enabled', 'only those that are not');
  command.action(async () => {
    const options = command.optsWithGlobals<ListOptions>();
    const filter = {
      keyspace: options.keyspace ?? '',
      kind: options.kind ?? '',
      ...optional('disabled', options.disabled ?? (options.enabled ? false : undefined)),
    };
    const pages = await withClient(terminal, options, OwnerService, (client) =>
      allPages((pageToken) => client.listOwners({ ...filter, pageSize: LARGEST_PAGE, pageToken })),
    );
    const found = pages.flatMap((page) => page.owners);
    const answer = create(ListOwnersResponseSchema, { owners: found });
    printAnswer(terminal, options, ListOwnersResponseSchema, answer, () =>
      found.length === 0 ? 'No owners.' : table(OWNER_COLUMNS, found, terminal.width),
    );
  });
}
