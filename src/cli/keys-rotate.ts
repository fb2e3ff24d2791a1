/** `gatehouse keys rotate`. */

import { durationFromMs } from '@bufbuild/protobuf/wkt';
import type { Command } from 'commander';
import { KeyService, RotateKeyResponseSchema } from '../gen/gatehouse/v1/key_service_pb.js';
import { type ServerOptions, withClient } from './connection.ts';
import { expectedRevision, requestId } from './key-options.ts';
import { withSecret } from './new-secret.ts';
import { printAnswer } from './print-answer.ts';
import type { Terminal } from './terminal.ts';
import { parseSpan } from './values.ts';

interface RotateOptions extends ServerOptions {
  /** Milliseconds. */
  readonly overlap?: number;
  readonly expectedRevision?: number;
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
    const { overlap, expectedRevision: revision } = options;
    const answer = await withClient(terminal, options, KeyService, (client) =>
      client.rotateKey({
        id,
        ...(overlap === undefined ? {} : { overlap: durationFromMs(overlap) }),
        ...(revision === undefined ? {} : { expectedRevision: BigInt(revision) }),
        requestId: options.requestId ?? '',
      }),
    );
    printAnswer(terminal, options, RotateKeyResponseSchema, answer, () => withSecret(answer));
  });
}
