/** `gatehouse keys rotate`. */

import { durationFromMs } from '@bufbuild/protobuf/wkt';
import type { Command } from 'commander';
import { optional } from '../domain/optional.ts';
import { KeyService, RotateKeyResponseSchema } from '../gen/gatehouse/v1/key_service_pb.js';
import { expectedRevision, requestId } from './change-options.ts';
import { type ServerOptions, withClient } from './connection.ts';
import { withSecret } from './new-secret.ts';
import { printAnswer } from './print-answer.ts';
import type { Terminal } from './terminal.ts';
import { parseSpan } from './values.ts';

interface RotateOptions extends ServerOptions {
  /** Milliseconds. */
  readonly overlap?: number;
  readonly expectedRevision?: bigint;
  readonly requestId?: string;
}

export function addKeysRotate(keys: Command, terminal: Terminal): void {
  const command = keys
    .command('rotate <id>')
    .description('give a key a new secret and print it, this once; id, expiry and all else stay')
    .option(
      '--overlap <duration>',
      'the old secret goes on working for so long, such as 7d, at most 90d; if not given it stops at once',
      parseSpan,
    )
    .addOption(expectedRevision())
    .addOption(requestId());
  command.action(async (id: string) => {
    const options = command.optsWithGlobals<RotateOptions>();
    const { overlap } = options;
    const answer = await withClient(terminal, options, KeyService, (client) =>
      client.rotateKey({
        id,
        ...(overlap === undefined ? {} : { overlap: durationFromMs(overlap) }),
        ...optional('expectedRevision', options.expectedRevision),
        requestId: options.requestId ?? '',
      }),
    );
    printAnswer(terminal, options, RotateKeyResponseSchema, answer, () => withSecret(answer));
  });
}
