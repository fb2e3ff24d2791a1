/** `gatehouse owners update`. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { type Command, Option } from 'commander';
import { optional } from '../domain/optional.ts';
import type { OwnerRecordSchema } from '../gen/gatehouse/v1/owner_pb.js';
import { OwnerService, UpdateOwnerResponseSchema } from '../gen/gatehouse/v1/owner_service_pb.js';
import { addSwitch, expectedRevision } from './change-options.ts';
import { type ServerOptions, withClient } from './connection.ts';
import { addOwnerArgument, type OwnerArgument } from './owner-argument.ts';
import { ownerRows } from './owner-view.ts';
import { printAnswer } from './print-answer.ts';
import { details } from './table.ts';
import type { Terminal } from './terminal.ts';
import { type FieldChange, givenChanges } from './update-mask.ts';
import { collect, parseTimeOrNow } from './values.ts';

interface UpdateOptions extends ServerOptions {
  readonly keyspace: string;
  readonly permissionBound?: string[];
  /** False: the bound is empty. */
  readonly permissions: boolean;
  readonly removePermissionBound?: true;
  readonly enable?: true;
  readonly disable?: true;
  readonly notBefore?: Timestamp;
  readonly expectedRevision?: bigint;
}

type OwnerChange = Omit<MessageInitShape<typeof OwnerRecordSchema>, '$typeName'>;

/** Whatever time was given. */
const ALL_REVOKED = 'Every key that the owner had by now is revoked.';

export function addOwnersUpdate(owners: Command, terminal: Terminal): void {
  const command = owners
    .command('update')
    .description(
      'change what is given, for all keys of the owner at once; makes the record where there is none',
    );
  addOwnerArgument(command)
    .option(
      '--permission-bound <permission>',
      'the most that its keys may do, such as docs:*; may be given again, and takes the place of the old bound',
      collect,
    )
    .addOption(
      new Option('--no-permissions', 'allow its keys nothing at all').conflicts([
        'permissionBound',
        'removePermissionBound',
      ]),
    )
    .addOption(
      new Option('--remove-permission-bound', 'allow each key what it was given').conflicts(
        'permissionBound',
      ),
    );
  addSwitch(command)
    .option(
      '--not-before <time>',
      'now, or a time: revoke every key that the owner has by now, for good, whatever the time says; sessions issued before it end as well',
      parseTimeOrNow,
    )
    .addOption(expectedRevision())
    .action(async (owner: OwnerArgument) => {
      const options = command.optsWithGlobals<UpdateOptions>();
      const { fields, updateMask } = givenChanges(changesOf(options));
      const answer = await withClient(terminal, options, OwnerService, (client) =>
        client.updateOwner({
          owner: { ...fields, ...owner, keyspace: options.keyspace },
          updateMask,
          ...optional('expectedRevision', options.expectedRevision),
        }),
      );
      printAnswer(terminal, options, UpdateOwnerResponseSchema, answer, () => {
        const rows = details(ownerRows(answer.owner));
        return options.notBefore === undefined ? rows : `${rows}\n\n${ALL_REVOKED}`;
      });
    });
}

function changesOf(options: UpdateOptions): FieldChange<OwnerChange>[] {
  const { permissionBound, notBefore } = options;
  const empty = !options.permissions;
  return [
    [
      'permission_bound',
      permissionBound !== undefined || empty || options.removePermissionBound === true,
      options.removePermissionBound ? {} : { permissionBound: { permissions: permissionBound ?? [] } },
    ],
    ['disabled', options.enable === true || options.disable === true, { disabled: options.disable === true }],
    ['not_before', notBefore !== undefined, optional('notBefore', notBefore)],
  ];
}
