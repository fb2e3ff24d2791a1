/**
 * A connect-node server that decodes a VerifyRequest and sends back a VerifyResponse that is always the same: gRPC over
 * HTTP/2 on one port, JSON over HTTP/1.1 on another. Prints both.
 */

import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { AuthService } from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { FIXED_ANSWER } from './fixed-answer.ts';

const handler = connectNodeAdapter({
  routes: (router) => router.service(AuthService, { verify: () => FIXED_ANSWER }),
});

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const port = await listen(http2.createServer(handler));
const httpPort = await listen(http.createServer(handler));
console.log(JSON.stringify({ port, httpPort }));
