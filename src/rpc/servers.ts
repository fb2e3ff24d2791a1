/** The two listeners, over one pipeline. */

import http from 'node:http';
import http2, {
  type Http2SecureServer,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2';
import https from 'node:https';
import type { Log } from '../telemetry/log.ts';
import type { MetricsPage } from '../telemetry/reports.ts';
import { closed, drainAll } from './drain.ts';
import { type CheckReady, HttpRoutes } from './http-routes.ts';
import { Http2Lane } from './lane/http2-lane.ts';
import type { VerifyLane } from './lane/verify-lane.ts';
import { listen } from './listen.ts';
import { isGone } from './node-http.ts';
import type { Pipeline } from './pipeline.ts';
import { Sessions } from './sessions.ts';

export interface ServersOptions {
  readonly pipeline: Pipeline;
  /** Absent: the pipeline serves all. */
  readonly lane?: VerifyLane;
  readonly host: string;
  /** 0: any free port. */
  readonly grpcPort: number;
  readonly httpPort: number;
  /** On each port; as `MAX_CONNECTIONS` where it is absent. */
  readonly maxConnections?: number;
  /** PEM texts. `clientCa` set: clients must show a certificate of this authority. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string } | undefined;
  readonly checkReady: CheckReady;
  readonly metrics: MetricsPage;
  readonly log: Log;
}

export interface Servers {
  /** `host:port`, as it can be given to a client. */
  readonly grpcAddress: string;
  readonly httpAddress: string;
  readonly grpcPort: number;
  readonly httpPort: number;
  /**
   * Stops: health says NOT_SERVING and /readyz 503, no new connection is taken, calls that run may finish, and those that
   * come on open connections within the first second. What still runs after `graceMs` is answered UNAVAILABLE and cut
   * off. Resolves once every connection is closed. May be called again.
   */
  drain(graceMs: number): Promise<void>;
}

const MAX_HEADER_BYTES = 16 * 1024;
/** How long the headers of a request (and a TLS handshake), a whole request, and an unused connection may take. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 75_000;
const KEEP_ALIVE_MS = 65_000;
const CHECK_INTERVAL_MS = 5000;
const MAX_STREAMS_PER_CONNECTION = 512;
/**
 * On each port. An unused one costs about 20 KB, so this many fit beside the records; what is above is closed unanswered,
 * which a client takes for a replica that is away, and tries another.
 */
const MAX_CONNECTIONS = 8192;
/** What node:http2 bounds by itself, said here where it matters, so that no version of Node changes it unnoticed. */
const BOUNDS = {
  // Bounds headers as well: those that come before the client has acknowledged our settings may be larger than
  // MAX_HEADER_BYTES, but Node counts them here, and resets the streams that go beyond it.
  maxSessionMemory: 16,
  maxHeaderListPairs: 100,
  // More entries than there are settings are a flood in one frame.
  maxSettings: 32,
  // Streams that the client resets before its connection ends (rapid reset): at once as many as it may have open, since a
  // moment without answers ends them all by their deadlines; after that so many a second.
  streamResetBurst: MAX_STREAMS_PER_CONNECTION,
  streamResetRate: 100,
  // Frames against the protocol, and streams above MAX_STREAMS_PER_CONNECTION, before the connection ends. A client that has
  // not read our settings yet may open more than it may.
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 1000,
  // Whoever speaks neither HTTP/2 nor TLS' name for it (TLS only; without TLS node:http2 ends such a connection at once).
  unknownProtocolTimeout: 10_000,
} as const;

/**
 * Opens both ports, or neither.
 *
 * @throws CannotListen
 */
export async function startServers(options: ServersOptions): Promise<Servers> {
  const { pipeline, host } = options;
  const routes = new HttpRoutes(options);
  const grpcServer = createGrpcServer(options);
  const sessions = new Sessions(grpcServer);
  grpcServer.on('request', (request: Http2ServerRequest, response: Http2ServerResponse) => {
    request.on('error', peerFailed);
    response.on('error', peerFailed);
    const bodyStart = lane?.bodyStart;
    if (bodyStart !== undefined) return pipeline.handle(request, response, bodyStart);
    // After all frames that came with this one: a flood of streams that are reset at once costs no more than their frames.
    setImmediate(() => {
      if (!isGone(response)) pipeline.handle(request, response);
    });
  });
  const lane = options.lane && new Http2Lane(grpcServer, options.lane);
  const httpServer = createHttpServer(options);
  httpServer.on('request', (request: http.IncomingMessage, response: http.ServerResponse) => {
    request.on('error', peerFailed);
    response.on('error', peerFailed);
    // Whatever answers: a client that keeps the connection would be cut off in its next call.
    if (!httpServer.listening) response.setHeader('connection', 'close');
    if (!routes.handle(request, response)) pipeline.handle(request, response);
  });
  const grpcPort = await listen(grpcServer, 'GATEHOUSE_GRPC_PORT', options.grpcPort, host);
  try {
    const httpPort = await listen(httpServer, 'GATEHOUSE_HTTP_PORT', options.httpPort, host);
    const drain = once((graceMs: number) =>
      drainAll({ pipeline, routes, grpcServer, sessions, httpServer }, graceMs),
    );
    return {
      grpcAddress: address(host, grpcPort),
      httpAddress: address(host, httpPort),
      grpcPort,
      httpPort,
      drain,
    };
  } catch (error) {
    await closed(grpcServer);
    throw error;
  }
}

// A peer that resets or breaks off in the middle: its call ends as cancelled, and the log has its line.
function peerFailed(): void {}

function createGrpcServer({ tls, maxConnections }: ServersOptions): Http2Server | Http2SecureServer {
  const settings = {
    settings: { maxConcurrentStreams: MAX_STREAMS_PER_CONNECTION, maxHeaderListSize: MAX_HEADER_BYTES },
    ...BOUNDS,
  };
  const server =
    tls === undefined
      ? http2.createServer(settings)
      : http2.createSecureServer({ ...settings, ...tlsOptions(tls) });
  server.maxConnections = maxConnections ?? MAX_CONNECTIONS;
  return server;
}

function createHttpServer({ tls, maxConnections }: ServersOptions): http.Server {
  const settings = {
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
  };
  const server =
    tls === undefined ? http.createServer(settings) : https.createServer({ ...settings, ...tlsOptions(tls) });
  server.maxConnections = maxConnections ?? MAX_CONNECTIONS;
  return server;
}

function tlsOptions({ cert, key, clientCa }: NonNullable<ServersOptions['tls']>) {
  const base = { cert, key, minVersion: 'TLSv1.2' as const, handshakeTimeout: HEADERS_TIMEOUT_MS };
  return clientCa === undefined
    ? base
    : { ...base, ca: clientCa, requestCert: true, rejectUnauthorized: true };
}

function address(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function once(run: (graceMs: number) => Promise<void>): (graceMs: number) => Promise<void> {
  let running: Promise<void> | undefined;
  return (graceMs) => {
    running ??= run(graceMs);
    return running;
  };
}
