/** A client of HTTP/2 that sends bytes as it is told, and tells all that came back. */

import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2';

export interface Sent {
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  /** Each is written by itself. */
  readonly pieces: readonly Buffer[];
}

export interface Came {
  /** Without the date. */
  readonly head: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  /** Code of the error; empty for none. */
  readonly failed: string;
  readonly body: Buffer;
}

/** @param pause waited for between two pieces. */
export async function exchange(
  session: ClientHttp2Session,
  { path, headers, pieces }: Sent,
  pause: () => Promise<unknown>,
): Promise<Came> {
  const stream = session.request({ ':method': 'POST', ':path': path, te: 'trailers', ...headers });
  const chunks: Buffer[] = [];
  let [head, trailers]: IncomingHttpHeaders[] = [{}, {}];
  let failed = '';
  stream.on('response', ({ date: _, ...rest }) => {
    head = rest;
  });
  stream.on('trailers', (rest) => {
    trailers = rest;
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('error', (error: NodeJS.ErrnoException) => {
    failed = error.code ?? error.message;
  });
  for (const [index, piece] of pieces.entries()) {
    if (index > 0) await pause();
    stream.write(piece);
  }
  stream.end();
  await new Promise((resolve) => stream.on('close', resolve));
  return { head: head ?? {}, trailers: trailers ?? {}, failed, body: Buffer.concat(chunks) };
}

/** A message in its envelope, or what only looks so. */
export function enveloped(message: Uint8Array, flags = 0, declared = message.length): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(declared, 1);
  return Buffer.concat([head, message]);
}
