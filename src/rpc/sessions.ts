/**
 * The connections of the gRPC port: none stays open for a peer that is gone, has nothing to ask, or does not take its answers.
 */

import {
  constants,
  type Http2SecureServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';

export interface SessionLimits {
  /**
   * A connection on which nothing came for so long, and up to `unreadMs` more, is asked for a sign of life, or closed where
   * no call is open on it.
   */
  readonly quietMs: number;
  /**
   * A peer that has not acknowledged our settings by then speaks no HTTP/2, or wants the limits in them not to hold: Node
   * holds a peer to the size of its headers only from the acknowledgement on.
   */
  readonly settingsMs: number;
  /**
   * An answer that is still not with the operating system after so long, up to twice that, is given up: its reader opens no
   * window. A legitimate one takes the largest page, 4 MiB, over a slow line in that time.
   */
  readonly unreadMs: number;
  /** A peer that is asked for a sign of life gives it by then, or its connection ends. */
  readonly answerMs: number;
}

export const SESSION_LIMITS: SessionLimits = {
  quietMs: 120_000,
  settingsMs: 10_000,
  unreadMs: 15_000,
  answerMs: 10_000,
};

/** Where a stream has those that are open on its connection: one listener then does for all streams. */
const OPEN = Symbol('open');
/** Set on an answer that was already waiting for its reader at the last look. */
const UNREAD = Symbol('unread');
type OpenStream = ServerHttp2Stream & { [OPEN]?: Set<OpenStream>; [UNREAD]?: true };

interface OpenSession {
  readonly streams: Set<OpenStream>;
  /** Bytes that had come at the last look, and when that many were seen first, by `performance.now()`. */
  read: number;
  readAt: number;
}

export class Sessions {
  readonly #limits: SessionLimits;
  readonly #open = new Map<ServerHttp2Session, OpenSession>();
  /** Those that were asked for a sign of life, and have not given it yet. */
  readonly #asked = new WeakSet<ServerHttp2Session>();
  #sweeper: NodeJS.Timeout | undefined;

  constructor(server: Http2Server | Http2SecureServer, limits = SESSION_LIMITS) {
    this.#limits = limits;
    server.on('session', (session: ServerHttp2Session) => this.#add(session));
  }

  #add(session: ServerHttp2Session): void {
    const streams = new Set<OpenStream>();
    this.#open.set(session, { streams, read: 0, readAt: performance.now() });
    const { settingsMs, unreadMs } = this.#limits;
    const unsettled = setTimeout(
      () => session.destroy(undefined, constants.NGHTTP2_SETTINGS_TIMEOUT),
      settingsMs,
    );
    session.once('localSettings', () => clearTimeout(unsettled));
    session.once('close', () => {
      clearTimeout(unsettled);
      this.#open.delete(session);
      if (this.#open.size > 0) return;
      clearInterval(this.#sweeper);
      this.#sweeper = undefined;
    });
    // A peer's broken frames or reset: Node ends the session, and its calls end as cancelled.
    session.on('error', () => {});
    session.on('stream', (stream: OpenStream) => {
      streams.add(stream);
      stream[OPEN] = streams;
      stream.on('close', forget);
    });
    this.#sweeper ??= setInterval(() => this.#sweep(), unreadMs);
  }

  /** Sends GOAWAY on each; calls that are open may finish. */
  close(): void {
    for (const session of this.#open.keys()) session.close();
  }

  destroy(): void {
    for (const session of this.#open.keys()) session.destroy();
  }

  // One timer for all: one for each call, or one of a session that each frame sets anew, would cost a Verify more than the
  // rest of its way through here.
  #sweep(): void {
    for (const [session, open] of this.#open) {
      const isQuiet = this.#isQuiet(session, open);
      if (isQuiet && !session.closed && open.streams.size === 0) session.close();
      // Node reads nothing more from a peer that said GOAWAY and then broke the protocol, not even its end.
      else if (isQuiet || session.closed) this.#probe(session);
      for (const stream of open.streams) {
        if (!stream.writableEnded) continue;
        if (stream[UNREAD]) stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
        else stream[UNREAD] = true;
      }
    }
  }

  #isQuiet(session: ServerHttp2Session, open: OpenSession): boolean {
    const [read, now] = [session.socket?.bytesRead ?? 0, performance.now()];
    if (read !== open.read) Object.assign(open, { read, readAt: now });
    return now - open.readAt >= this.#limits.quietMs;
  }

  /** Ends a session whose peer gives no sign of life, such as one behind a firewall that forgot the connection. */
  #probe(session: ServerHttp2Session): void {
    if (session.destroyed || this.#asked.has(session)) return;
    this.#asked.add(session);
    const timer = setTimeout(() => session.destroy(), this.#limits.answerMs);
    // Told of the end of the session as well.
    const isAlive = () => {
      clearTimeout(timer);
      this.#asked.delete(session);
    };
    // Settings without a change, which have to be acknowledged: Node sends no ping where GOAWAY went out or came in.
    session.settings({}, isAlive);
  }
}

function forget(this: OpenStream): void {
  this[OPEN]?.delete(this);
}
