/** The stop of both servers. */

import type { Server as HttpServer } from 'node:http';
import type { Http2SecureServer, Http2Server } from 'node:http2';
import { Server } from 'node:net';
import type { HttpRoutes } from './http-routes.ts';
import type { Pipeline } from './pipeline.ts';
import type { Sessions } from './sessions.ts';

/** Streams that nobody ends themselves (health Watch) get this part of the time to stop. */
const STREAMS_SHARE = 0.5;
/**
 * How long HTTP/1.1 connections without a call stay open. The next call may be on its way on each of them; its answer
 * tells the client to go, which nothing else in HTTP/1.1 can.
 */
const UNUSED_MS = 1000;
/** How long connections that were told to close may take to do so. */
const LINGER_MS = 250;

/** What a stop has to do with. */
export interface DrainParts {
  readonly pipeline: Pipeline;
  readonly routes: HttpRoutes;
  readonly grpcServer: Http2Server | Http2SecureServer;
  readonly sessions: Sessions;
  readonly httpServer: HttpServer;
}

/** Stops both servers; `Servers.drain` says what it promises. */
export async function drainAll(
  { pipeline, routes, grpcServer, sessions, httpServer }: DrainParts,
  graceMs: number,
): Promise<void> {
  const endsAt = performance.now() + graceMs;
  const timeLeft = () => Math.max(0, endsAt - performance.now());
  pipeline.beginDrain();
  routes.beginDrain();
  const bothClosed = Promise.all([closed(grpcServer), notListening(httpServer)]);
  // Watchers of the health are told by now; GOAWAY goes out behind that.
  setImmediate(() => sessions.close());
  const streams = setTimeout(() => pipeline.endStreams(), graceMs * STREAMS_SHARE);
  await inTime(bothClosed, Math.min(UNUSED_MS, graceMs));
  // Again for calls that came while the last ones were waited for.
  while (await inTime(pipeline.idle(), timeLeft())) {
    httpServer.closeIdleConnections();
    if (await inTime(bothClosed, Math.min(LINGER_MS, timeLeft()))) break;
    if (await inTime(pipeline.idle(), 0)) break;
  }
  clearTimeout(streams);
  pipeline.endAll();
  // What is left then has asked nothing yet, has not noticed GOAWAY, or does not read its answer.
  await inTime(bothClosed, LINGER_MS);
  sessions.destroy();
  httpServer.closeAllConnections();
  await bothClosed;
  // Ends the timer that looks for slow requests.
  httpServer.close();
}

/** Waits for something, but no longer than `ms`. @returns whether it came in time. */
async function inTime(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const came = await Promise.race([work.then(() => true), over]);
  clearTimeout(timer);
  return came;
}

/** Closes a server. Resolves once it has no connection left. */
export function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

/**
 * As `closed`, but leaves connections without a call open: an HTTP server's own `close` cuts them off at once, and
 * with them the calls that are on their way.
 */
function notListening(server: HttpServer): Promise<void> {
  return new Promise((resolve) => {
    Server.prototype.close.call(server, () => resolve());
  });
}
