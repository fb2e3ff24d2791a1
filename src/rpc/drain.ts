/** The stop of both servers. */

import type { Server as HttpServer } from 'node:http';
import type { Http2SecureServer, Http2Server } from 'node:http2';
import type { Server } from 'node:net';
import type { HttpRoutes } from './http-routes.ts';
import type { Pipeline } from './pipeline.ts';
import type { Sessions } from './sessions.ts';

/** Streams that nobody ends themselves (health Watch) get this part of the time to stop. */
const STREAMS_SHARE = 0.5;
/** How long connections without a call may take to close by themselves. */
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
  pipeline.beginDrain();
  routes.beginDrain();
  const bothClosed = Promise.all([closed(grpcServer), closed(httpServer)]);
  // Watchers of the health are told by now; GOAWAY goes out behind that.
  setImmediate(() => sessions.close());
  const streams = setTimeout(() => pipeline.endStreams(), graceMs * STREAMS_SHARE);
  await inTime(pipeline.idle(), graceMs);
  clearTimeout(streams);
  pipeline.endAll();
  httpServer.closeIdleConnections();
  // What is left then has asked nothing yet, has not noticed GOAWAY, or does not read its answer.
  await inTime(bothClosed, LINGER_MS);
  sessions.destroy();
  httpServer.closeAllConnections();
  await bothClosed;
}

/** Waits for something, but no longer than `ms`. */
async function inTime(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, over]);
  clearTimeout(timer);
}

/** Closes a server. Resolves once it has no connection left. */
export function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
