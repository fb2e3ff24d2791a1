/** `gatehouse verify`. */

import type { Command } from 'commander';
import {
  AuthService,
  type Check,
  Consistency,
  PrincipalSchema,
  type VerifyResponse,
  VerifyResponseSchema,
} from '../gen/gatehouse/v1/auth_service_pb.js';
import { type ServerOptions, withClient } from './connection.ts';
import { describe } from './describe.ts';
import { ExitCode } from './exit-codes.ts';
import { printAnswer } from './print-answer.ts';
import { type Column, details, table } from './table.ts';
import { readKeyFromStdin, type Terminal } from './terminal.ts';
import { collect, parseOwner } from './values.ts';

interface VerifyOptions extends ServerOptions {
  readonly keyspace?: string[];
  readonly permission?: string[];
  /** False: bound to none. */
  readonly project?: string | false;
  readonly owner?: { kind: string; id: string };
  readonly clientIp?: string;
  readonly explain?: true;
  readonly strong?: true;
}

const CHECK_COLUMNS: readonly Column<Check>[] = [
  { title: 'CHECK', text: (check) => check.name },
  { title: 'PASSED', text: (check) => (check.passed ? 'yes' : 'no') },
  { title: 'DETAIL', text: (check) => check.detail, least: 24 },
];

export function addVerify(program: Command, terminal: Terminal): void {
  const command = program
    .command('verify [token]')
    .description(
      'ask whether a key is good. Without a token, or with "-", it is read from stdin, which is better: other users of this machine can see arguments.',
    )
    .option('--keyspace <id>', 'accept only keys of this keyspace; may be given again', collect)
    .option('--permission <permission>', 'the key must hold this; may be given again', collect)
    .option('--project <project>', 'a key that is bound to a project must be bound to this one')
    .option('--no-project', 'the key must be bound to no project')
    .option('--owner <kind:id>', 'the key must be of this owner', parseOwner)
    .option('--client-ip <address>', 'address of the end client')
    .option('--explain', 'show every check; counts no use')
    .option('--strong', 'read the system of record, not a cache');
  command.action(async (argument: string | undefined) => {
    const options = command.optsWithGlobals<VerifyOptions>();
    const token = await tokenOf(terminal, argument);
    const { project, owner } = options;
    const answer = await withClient(
      terminal,
      options,
      AuthService,
      (client) =>
        client.verify({
          token,
          keyspaces: options.keyspace ?? [],
          permissions: options.permission ?? [],
          ...(project === undefined ? {} : { project: project === false ? '' : project }),
          ...(owner === undefined ? {} : { owner }),
          context: { clientIp: options.clientIp ?? '' },
          consistency: options.strong ? Consistency.STRONG : Consistency.UNSPECIFIED,
          explain: options.explain ?? false,
        }),
      true,
    );
    printAnswer(terminal, options, VerifyResponseSchema, answer, () => answerText(answer, terminal.width));
    if (!answer.valid) terminal.endWith(ExitCode.notValid);
  });
}

async function tokenOf(terminal: Terminal, argument: string | undefined): Promise<string> {
  if (argument !== undefined && argument !== '-') return argument;
  return readKeyFromStdin(terminal, 'gatehouse verify < key.txt');
}

function answerText(answer: VerifyResponse, width: number | undefined): string {
  const principal = answer.principal;
  const rows = [
    ['valid', answer.valid ? 'yes' : 'no'] as const,
    ...describe(VerifyResponseSchema, answer, ['valid', 'principal', 'checks']),
    ...(principal === undefined ? [] : describe(PrincipalSchema, principal)),
  ];
  const checks = answer.checks.length === 0 ? [] : ['', table(CHECK_COLUMNS, answer.checks, width)];
  return [details(rows), ...checks].join('\n');
}
