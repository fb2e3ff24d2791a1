/** `gatehouse keys update`. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { type Command, Option } from 'commander';
import { optional } from '../domain/optional.ts';
import type { KeySchema } from '../gen/gatehouse/v1/key_pb.js';
import { KeyService, UpdateKeyResponseSchema } from '../gen/gatehouse/v1/key_service_pb.js';
import { addSwitch, expectedRevision } from './change-options.ts';
import { type ServerOptions, withClient } from './connection.ts';
import { addKeyFields, expires, inherits, neverExpires } from './key-options.ts';
import { keyRows } from './key-view.ts';
import { printAnswer } from './print-answer.ts';
import { details } from './table.ts';
import type { Terminal } from './terminal.ts';
import { type FieldChange, givenChanges } from './update-mask.ts';
import { parseTime } from './values.ts';

interface UpdateOptions extends ServerOptions {
  readonly name?: string;
  readonly permission?: string[];
  readonly clearPermissions?: true;
  readonly inheritOwnerPermissions?: boolean;
  readonly metadata?: Record<string, string>;
  readonly clearMetadata?: true;
  readonly cidr?: string[];
  readonly clearCidrs?: true;
  readonly expires?: Timestamp;
  readonly neverExpires?: true;
  readonly enable?: true;
  readonly disable?: true;
  /** False: bound to none. */
  readonly project?: string | false;
  readonly endOverlap?: true;
  readonly overlapUntil?: Timestamp;
  readonly expectedRevision?: bigint;
}

type KeyChange = Omit<MessageInitShape<typeof KeySchema>, '$typeName'>;

export function addKeysUpdate(keys: Command, terminal: Terminal): void {
  const command = keys
    .command('update <id>')
    .description('change the fields that are given; a list that is given takes the place of the old one')
    .option('--name <name>', 'new name');
  addKeyFields(command)
    .addOption(new Option('--clear-permissions', 'allow nothing').conflicts('permission'))
    .addOption(inherits())
    .option(
      '--no-inherit-owner-permissions',
      'allow its own permissions again, nothing until it is given some',
    )
    .addOption(new Option('--clear-metadata', 'keep no metadata').conflicts('metadata'))
    .addOption(new Option('--clear-cidrs', 'let requests come from anywhere').conflicts('cidr'))
    .addOption(expires())
    .addOption(neverExpires());
  addSwitch(command)
    .option('--project <project>', 'bind it to this project')
    .option('--no-project', 'bind it to none')
    .addOption(
      new Option('--end-overlap', 'let the secret before the last rotation stop working now').conflicts(
        'overlapUntil',
      ),
    )
    .option('--overlap-until <time>', 'let it stop working at this moment, earlier than it would', parseTime)
    .addOption(expectedRevision())
    .action(async (id: string) => {
      const options = command.optsWithGlobals<UpdateOptions>();
      const { fields, updateMask } = givenChanges(changesOf(options));
      const answer = await withClient(terminal, options, KeyService, (client) =>
        client.updateKey({
          key: { ...fields, id },
          updateMask,
          ...optional('expectedRevision', options.expectedRevision),
        }),
      );
      printAnswer(terminal, options, UpdateKeyResponseSchema, answer, () => details(keyRows(answer.key)));
    });
}

function changesOf(options: UpdateOptions): FieldChange<KeyChange>[] {
  const { name, permission, metadata, cidr, project, expires, overlapUntil } = options;
  const inheriting = options.inheritOwnerPermissions;
  return [
    ['name', name !== undefined, { name: name ?? '' }],
    [
      'permissions',
      permission !== undefined || options.clearPermissions === true,
      { permissions: permission ?? [] },
    ],
    ['inherit_owner_permissions', inheriting !== undefined, { inheritOwnerPermissions: inheriting === true }],
    ['metadata', metadata !== undefined || options.clearMetadata === true, { metadata: metadata ?? {} }],
    ['allowed_cidrs', cidr !== undefined || options.clearCidrs === true, { allowedCidrs: cidr ?? [] }],
    [
      'expire_time',
      expires !== undefined || options.neverExpires === true,
      expires === undefined ? {} : { expireTime: expires },
    ],
    ['disabled', options.enable === true || options.disable === true, { disabled: options.disable === true }],
    [
      'project',
      project !== undefined,
      { project: project === undefined || project === false ? '' : project },
    ],
    [
      'previous_secret',
      overlapUntil !== undefined || options.endOverlap === true,
      overlapUntil === undefined ? {} : { previousSecret: { expireTime: overlapUntil } },
    ],
  ];
}
