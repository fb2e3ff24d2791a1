/** Which of the protocols a request speaks, by its content type. */

import * as connect from '@connectrpc/connect/protocol-connect';
import * as grpc from '@connectrpc/connect/protocol-grpc';
import * as grpcWeb from '@connectrpc/connect/protocol-grpc-web';

export interface Protocol {
  readonly name: 'grpc' | 'grpc-web' | 'connect';
  readonly json: boolean;
  /** Messages come in envelopes of flags and length: always, but in a unary call of Connect. */
  readonly enveloped: boolean;
  readonly timeoutHeader: string;
  readonly encodingHeader: string;
  readonly acceptEncodingHeader: string;
}

const GRPC = {
  enveloped: true,
  timeoutHeader: 'grpc-timeout',
  encodingHeader: 'grpc-encoding',
  acceptEncodingHeader: 'grpc-accept-encoding',
} as const;

const CONNECT_UNARY = {
  enveloped: false,
  timeoutHeader: 'connect-timeout-ms',
  encodingHeader: 'content-encoding',
  acceptEncodingHeader: 'accept-encoding',
} as const;

const CONNECT_STREAM = {
  enveloped: true,
  timeoutHeader: 'connect-timeout-ms',
  encodingHeader: 'connect-content-encoding',
  acceptEncodingHeader: 'connect-accept-encoding',
} as const;

/** The content types for the answer to one that is not known. */
export const ACCEPTED_CONTENT_TYPES =
  'application/json, application/proto, application/grpc, application/grpc-web';

/** @returns undefined for a content type that is none of ours. */
export function protocolOf(contentType: string | undefined): Protocol | undefined {
  if (contentType === undefined) return undefined;
  const plain = grpc.parseContentType(contentType);
  if (plain !== undefined) return { ...GRPC, name: 'grpc', json: !plain.binary };
  const web = grpcWeb.parseContentType(contentType);
  // The base64 form is not served.
  if (web !== undefined) return web.text ? undefined : { ...GRPC, name: 'grpc-web', json: !web.binary };
  const parsed = connect.parseContentType(contentType);
  if (parsed === undefined) return undefined;
  return { ...(parsed.stream ? CONNECT_STREAM : CONNECT_UNARY), name: 'connect', json: !parsed.binary };
}

/** Whether a protocol can carry a method: Connect has one content type for unary calls and one for streams. */
export function carries(protocol: Protocol, streaming: boolean): boolean {
  return protocol.name !== 'connect' || protocol.enveloped === streaming;
}
