/** A request in the form that Connect's router takes. */

import { createContextValues } from '@connectrpc/connect';
import {
  createAsyncIterable,
  encodeEnvelope,
  type UniversalServerRequest,
} from '@connectrpc/connect/protocol';
import { callKey } from './call.ts';
import { type Exchange, exchangeKey } from './exchange.ts';
import { pathOf } from './node-http.ts';
import type { Protocol } from './protocol.ts';
import { joinedValue } from './request-headers.ts';

// All that the router needs, and no credential: what handlers may know of a call is in `Call`. Timeouts and the
// length are left out because the pipeline has dealt with them.
const PASSED_ON = ['content-type', 'accept-encoding', 'grpc-accept-encoding', 'connect-accept-encoding'];

/**
 * @param message of a unary call, decompressed; undefined for a stream.
 * @param body of a stream, where it is not read from the request as it comes.
 */
export function universalRequest(
  exchange: Exchange,
  protocol: Protocol,
  message: Uint8Array | undefined,
  body?: AsyncIterable<Uint8Array>,
): UniversalServerRequest {
  const { request } = exchange;
  const streams = message === undefined;
  const header = new Headers();
  for (const name of streams ? [...PASSED_ON, protocol.encodingHeader] : PASSED_ON) {
    const value = joinedValue(exchange.headers, name);
    if (value !== undefined) header.set(name, value);
  }
  return {
    httpVersion: request.httpVersion,
    method: 'POST',
    // Connect reads the query of this alone, and only for GET.
    url: `http://gatehouse${pathOf(request)}`,
    header,
    body: streams
      ? (body ?? request.iterator({ destroyOnReturn: false }))
      : createAsyncIterable([bodyOf(protocol, message)]),
    signal: exchange.signal,
    contextValues: createContextValues().set(exchangeKey, exchange).set(callKey, exchange.call()),
  };
}

function bodyOf(protocol: Protocol, message: Uint8Array): Uint8Array {
  return protocol.enveloped ? encodeEnvelope(0, new Uint8Array(message)) : message;
}
