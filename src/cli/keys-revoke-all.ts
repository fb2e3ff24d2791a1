/** `gatehouse keys revoke-all`. */

import { type Command, Option } from 'commander';
import { optional } from '../domain/optional.ts';
import {
  KeyService,
  type RevokeFailure,
  type RevokeKeysResponse,
  RevokeKeysResponseSchema,
} from '../gen/gatehouse/v1/key_service_pb.js';
import { PropagationSchema } from '../gen/gatehouse/v1/propagation_pb.js';
import { reason } from './change-options.ts';
import { type ServerOptions, withClient } from './connection.ts';
import { describe } from './describe.ts';
import { ExitCode } from './exit-codes.ts';
import { KEY_COLUMNS } from './key-view.ts';
import { printAnswer } from './print-answer.ts';
import { type Column, details, table } from './table.ts';
import { BadUsage, type Terminal } from './terminal.ts';
import { parseCount, parseOwner } from './values.ts';

interface RevokeAllOptions extends ServerOptions {
  readonly owner?: { kind: string; id: string };
  readonly keyspace?: string;
  readonly all?: true;
  readonly dryRun?: true;
  readonly expectedCount?: number;
  readonly yes?: true;
  readonly reason?: string;
}

const FAILURE_COLUMNS: readonly Column<RevokeFailure>[] = [
  { title: 'NOT REVOKED', text: (failure) => failure.keyId },
  { title: 'WHY', text: (failure) => failure.error?.message ?? '' },
];

export function addKeysRevokeAll(keys: Command, terminal: Terminal): void {
  const command = keys
    .command('revoke-all')
    .description(
      'revoke all keys of an owner or of a keyspace for good, those too that are being made; once this returns, no server accepts one of them',
    )
    .option('--owner <kind:id>', 'the keys of this owner', parseOwner)
    .addOption(new Option('--all', 'the keys of anyone').conflicts('owner'))
    .option('--keyspace <id>', 'only in this keyspace; if not given, in each that the key may revoke in')
    .option('--dry-run', 'revoke nothing, show what would be')
    .option('--expected-count <number>', 'only if it is so many: the count of a dry run', parseCount)
    .option('--yes', 'however many it is')
    .addOption(reason());
  command.action(async () => {
    const options = command.optsWithGlobals<RevokeAllOptions>();
    refuseUnsaid(options);
    const { keyspace = '', all = false, dryRun = false } = options;
    const answer = await withClient(terminal, options, KeyService, (client) =>
      client.revokeKeys({
        keyspace,
        ...optional('owner', options.owner),
        all,
        reason: options.reason ?? '',
        dryRun,
        ...optional('expectedCount', options.expectedCount),
      }),
    );
    printAnswer(terminal, options, RevokeKeysResponseSchema, answer, () =>
      answerText(answer, dryRun, terminal.width),
    );
    // Not a success to a script, and worth another try.
    if (answer.failures.length > 0) terminal.endWith(ExitCode.noAnswer);
  });
}

/** @throws BadUsage where it is not said whose keys, in which keyspace, or that it is meant. */
function refuseUnsaid({ owner, keyspace, all, dryRun, expectedCount, yes }: RevokeAllOptions): void {
  if (owner === undefined && !all)
    throw new BadUsage('whose keys? give --owner kind:id, or --all for anyone');
  // A variable of a script that is not set would make it every keyspace.
  if (keyspace === '') throw new BadUsage('--keyspace is empty; leave it out to mean every keyspace');
  if (!dryRun && expectedCount === undefined && !yes) {
    throw new BadUsage(
      'this revokes for good: look with --dry-run first and give its count as --expected-count, or say --yes',
    );
  }
}

function answerText(answer: RevokeKeysResponse, dryRun: boolean, width: number | undefined): string {
  const { count, sample, failures, propagation } = answer;
  const reached = propagation === undefined ? [] : describe(PropagationSchema, propagation);
  const lines = [details([[dryRun ? 'would revoke' : 'revoked', String(count)], ...reached])];
  if (sample.length > 0 && sample.length < count) lines.push('', `The newest ${sample.length}:`);
  if (sample.length > 0) lines.push('', table(KEY_COLUMNS, sample, width));
  if (failures.length > 0) lines.push('', table(FAILURE_COLUMNS, failures, width));
  if (dryRun && count > 0)
    lines.push('', `Nothing was revoked. To do it: --expected-count ${count} instead of --dry-run`);
  return lines.join('\n');
}
