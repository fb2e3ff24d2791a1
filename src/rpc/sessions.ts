/** The connections of the gRPC port: none stays open for a peer that is gone or has nothing to ask. */

import type { Http2SecureServer, Http2Server, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';

/** A connection without any frame for so long is asked for a sign of life, or closed where no call is open on it. */
const QUIET_MS = 120_000;
const PING_TIMEOUT_MS = 10_000;

const COUNT = Symbol('count');
type CountedStream = ServerHttp2Stream & { [COUNT]?: { streams: number } };

export class Sessions {
  readonly #open = new Set<ServerHttp2Session>();

  constructor(server: Http2Server | Http2SecureServer) {
    server.on('session', (session: ServerHttp2Session) => this.#add(session));
  }

  #add(session: ServerHttp2Session): void {
    const open = { streams: 0 };
    this.#open.add(session);
    session.once('close', () => this.#open.delete(session));
    // A peer's broken frames or reset: Node ends the session, and its calls end as cancelled.
    session.on('error', () => {});
    session.on('stream', (stream) => {
      open.streams++;
      (stream as CountedStream)[COUNT] = open;
      stream.on('close', uncount);
    });
    session.setTimeout(QUIET_MS, () => {
      if (open.streams === 0) session.close();
      else probe(session);
    });
  }

  /** Sends GOAWAY on each; calls that are open may finish. */
  close(): void {
    for (const session of this.#open) session.close();
  }

  destroy(): void {
    for (const session of this.#open) session.destroy();
  }
}

// One listener for all streams.
function uncount(this: CountedStream): void {
  const open = this[COUNT];
  if (open !== undefined) open.streams--;
}

/** Ends a session whose peer does not answer a ping, such as one behind a firewall that forgot the connection. */
function probe(session: ServerHttp2Session): void {
  const timer = setTimeout(() => session.destroy(), PING_TIMEOUT_MS);
  session.once('close', () => clearTimeout(timer));
  session.ping(() => clearTimeout(timer));
}
