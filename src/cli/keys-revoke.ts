/** `gatehouse keys revoke`. */

import type { Command } from 'commander';
import {
  KeyService,
  type RevokeKeyRequest,
  type RevokeKeyResponse,
  RevokeKeyResponseSchema,
} from '../gen/gatehouse/v1/key_service_pb.js';
import { reason } from './change-options.ts';
import { type ServerOptions, withClient } from './connection.ts';
import { KEY_COLUMNS, keyRows } from './key-view.ts';
import { printAnswer } from './print-answer.ts';
import { details, table } from './table.ts';
import { BadUsage, readKeyFromStdin, type Terminal } from './terminal.ts';

interface RevokeOptions extends ServerOptions {
  readonly reason?: string;
  readonly secretStdin?: true;
  readonly includeDescendants?: true;
}

export function addKeysRevoke(keys: Command, terminal: Terminal): void {
  const command = keys
    .command('revoke [id]')
    .description('revoke a key for good; once this returns, no server accepts it')
    .option(
      '--secret-stdin',
      'turn in the whole key, read from stdin, in place of its id; "-" for the id means the same',
    )
    .option(
      '--include-descendants',
      'also revoke the keys that it made by self-service, and those that they made',
    )
    .addOption(reason());
  command.action(async (id: string | undefined) => {
    const options = command.optsWithGlobals<RevokeOptions>();
    const target = await targetOf(terminal, options, id);
    const answer = await withClient(terminal, options, KeyService, (client) =>
      client.revokeKey({
        target,
        reason: options.reason ?? '',
        includeDescendants: options.includeDescendants ?? false,
      }),
    );
    printAnswer(terminal, options, RevokeKeyResponseSchema, answer, () => answerText(answer, terminal.width));
  });
}

async function targetOf(
  terminal: Terminal,
  { secretStdin }: RevokeOptions,
  id: string | undefined,
): Promise<RevokeKeyRequest['target']> {
  if (secretStdin && id !== undefined && id !== '-')
    throw new BadUsage('give the id of the key or --secret-stdin, not both');
  const fromStdin = secretStdin === true || id === '-';
  if (id !== undefined && !fromStdin) {
    // A whole key as an argument was seen by enough; it need not be sent, too.
    if (!id.startsWith('key_'))
      throw new BadUsage('the id of a key begins with "key_"; a whole key is turned in with --secret-stdin');
    return { case: 'id', value: id };
  }
  if (!fromStdin) throw new BadUsage('no key to revoke: give its id, or --secret-stdin');
  const value = await readKeyFromStdin(terminal, 'gatehouse keys revoke --secret-stdin < key.txt');
  if (value.trim() === '') throw new BadUsage('no key on stdin: it was empty');
  return { case: 'secret', value };
}

function answerText(answer: RevokeKeyResponse, width: number | undefined): string {
  const lines = [details(keyRows(answer.key))];
  const { liveDescendants, liveDescendantsSize } = answer;
  if (liveDescendantsSize === 0) return lines.join('\n');
  lines.push('', `Keys that it made, or that those made, and that still live: ${liveDescendantsSize}`);
  if (liveDescendants.length > 0) lines.push('', table(KEY_COLUMNS, liveDescendants, width));
  return lines.join('\n');
}
