/**
 * A typed client for any service of the contract, over @grpc/grpc-js.
 *
 *     const keys = createGrpcClient(KeyService, '127.0.0.1:50051', { token: process.env.GATEHOUSE_KEY });
 *     const { secret } = await keys.createKey({ keyspace: 'default', name: 'first' });
 *     keys.close();
 */

import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import type { GenService, GenServiceMethods } from '@bufbuild/protobuf/codegenv2';
import { Client, type ClientOptions, credentials, Metadata } from '@grpc/grpc-js';
import { parseAddress } from './address.ts';
import { rpcErrorOf } from './decode-error.ts';

/** What holds for every call of a client. */
export interface GrpcClientOptions {
  /** Sent as `authorization: Bearer <token>`. Absent: no credential is sent. */
  readonly token?: string | undefined;
  /** Milliseconds that a call may take, connecting included; default 10,000. */
  readonly timeout?: number | undefined;
  /** PEM texts for an https address. */
  readonly tls?: TlsOptions | undefined;
}

export interface TlsOptions {
  /** Certificates to trust; absent: those that Node trusts. */
  readonly ca?: string | undefined;
  /** The client's own certificate and key, where the server asks for one. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** What holds for one call. */
export interface CallOptions {
  /** Milliseconds, instead of the client's. */
  readonly timeout?: number;
  /** More metadata; a value here takes the place of the client's own of that name. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The unary methods of a service as functions that give a promise, and `close`. */
export type GrpcClient<Methods extends GenServiceMethods> = {
  readonly [K in keyof Methods as Methods[K]['methodKind'] extends 'unary' ? K : never]: (
    request: MessageInitShape<Methods[K]['input']>,
    options?: CallOptions,
  ) => Promise<MessageShape<Methods[K]['output']>>;
} & { close(): void };

const DEFAULT_TIMEOUT = 10_000;

const CHANNEL: ClientOptions = {
  // A key goes to the server that was named: not to a proxy out of the environment, nor where a DNS record says.
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
};

/**
 * A client of one service. It connects with the first call; a program does not end before `close`.
 *
 * @param address as `parseAddress` reads it.
 * @throws TypeError for a bad address or a token that no header can carry. Calls reject with RpcError.
 */
export function createGrpcClient<Methods extends GenServiceMethods>(
  service: GenService<Methods>,
  address: string,
  options: GrpcClientOptions = {},
): GrpcClient<Methods> {
  const { tls, target } = parseAddress(address);
  const channel = new Client(
    target,
    tls ? tlsCredentials(options.tls) : credentials.createInsecure(),
    CHANNEL,
  );
  const unary = (service as DescService).methods.filter((method) => method.methodKind === 'unary');
  const calls = unary.map((method) => [method.localName, unaryCall(channel, method, options)]);
  return Object.assign(Object.fromEntries(calls), { close: () => channel.close() });
}

function tlsCredentials({ ca, cert, key }: TlsOptions = {}) {
  const bytes = (pem: string | undefined) => (pem === undefined ? null : Buffer.from(pem));
  return credentials.createSsl(bytes(ca), bytes(key), bytes(cert));
}

function unaryCall<I extends DescMessage, O extends DescMessage>(
  channel: Client,
  method: DescMethod & { input: I; output: O },
  defaults: GrpcClientOptions,
) {
  const path = `/${method.parent.typeName}/${method.name}`;
  const headers = bearer(defaults.token);
  return (request: MessageInitShape<I>, options: CallOptions = {}) =>
    new Promise<MessageShape<O>>((resolve, reject) => {
      const metadata = metadataOf({ ...headers, ...options.metadata });
      const deadline = Date.now() + (options.timeout ?? defaults.timeout ?? DEFAULT_TIMEOUT);
      channel.makeUnaryRequest<MessageShape<I>, MessageShape<O>>(
        path,
        (message) => Buffer.from(toBinary(method.input, message)),
        (bytes) => fromBinary(method.output, bytes),
        create(method.input, request),
        metadata,
        { deadline },
        (error, response) => {
          if (error !== null) reject(rpcErrorOf(error));
          else if (response === undefined) reject(new Error(`${path} ended without an answer`));
          else resolve(response);
        },
      );
    });
}

function bearer(token: string | undefined): Record<string, string> {
  if (token === undefined) return {};
  // grpc-js would refuse it as well, but with the token in its message.
  if (!/^[!-~]+$/.test(token)) throw new TypeError('the calling key has characters that no header can carry');
  return { authorization: `Bearer ${token}` };
}

function metadataOf(values: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(values)) metadata.set(name, value);
  return metadata;
}
