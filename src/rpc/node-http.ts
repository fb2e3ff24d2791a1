/** Requests and answers of node:http and node:http2, which the pipeline serves alike. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';

export type NodeRequest = IncomingMessage | Http2ServerRequest;
export type NodeResponse = ServerResponse | Http2ServerResponse;

/** The path without query; text from outside, so for comparing only. */
export function pathOf(request: NodeRequest): string {
  const url = request.url ?? '';
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

/** Address of the TCP peer. IPv4 that arrived on an IPv6 socket is written as IPv4. */
export function peerAddressOf(request: NodeRequest): string | undefined {
  return plainAddress(request.socket?.remoteAddress);
}

export function plainAddress(address: string | undefined): string | undefined {
  return address?.replace(/^::ffff:(?=\d+\.)/i, '');
}

/** Whether nothing can be sent any more. */
export function isGone(response: NodeResponse): boolean {
  return response.destroyed || ('stream' in response && (response.stream?.destroyed ?? true));
}
