/** How an answer of the server is printed. */

import { type DescMessage, type MessageShape, toJson } from '@bufbuild/protobuf';
import type { ServerOptions } from './connection.ts';
import { shownJson } from './escape.ts';
import type { Terminal } from './terminal.ts';

/** With --json as one document, defaults written out, else as `text` has it. */
export function printAnswer<D extends DescMessage>(
  terminal: Terminal,
  { json }: ServerOptions,
  schema: D,
  answer: MessageShape<D>,
  text: () => string,
): void {
  terminal.print(json ? shownJson(toJson(schema, answer, { alwaysEmitImplicit: true })) : text());
}
