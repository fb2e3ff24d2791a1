/**
 * A bare node:http2 server that answers each request with as many bytes as a Verify does: what the transport allows. Prints its
 * port.
 */

import http2, { type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';

/** As many as the answer for a key of the bench has. */
const BODY = Buffer.alloc(119);
BODY.writeUInt32BE(BODY.length - 5, 1);
const TRAILERS = { 'grpc-status': '0' };

let count = 0;

function answer(this: ServerHttp2Stream): void {
  const id = `req_0123456789012345${(++count).toString(36).padStart(9, '0')}`;
  const head = { ':status': 200, 'content-type': 'application/grpc+proto', 'x-request-id': id };
  this.on('wantTrailers', sendTrailers);
  this.respond(head, { waitForTrailers: true });
  this.end(BODY);
}

function sendTrailers(this: ServerHttp2Stream): void {
  this.sendTrailers(TRAILERS);
}

const server = http2.createServer({ settings: { maxConcurrentStreams: 512 } });
server.on('stream', (stream: ServerHttp2Stream) => {
  stream.resume();
  stream.on('end', answer);
});
server.listen(0, '127.0.0.1', () =>
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port })),
);
