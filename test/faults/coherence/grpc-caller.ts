/** Verify over gRPC: by a call of its own for each question, and by questions on streams that stay open. */

import { create, fromBinary, toBinary, toJson } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { Client, type ClientDuplexStream, credentials, Metadata, type StatusObject } from '@grpc/grpc-js';
import {
  VerifyRequestSchema,
  type VerifyResponse,
  VerifyResponseSchema,
  VerifyStreamRequestSchema,
  VerifyStreamResponseSchema,
} from '../../../src/gen/gatehouse/v1/auth_service_pb.js';
import { Code } from '../../../src/gen/google/rpc/code_pb.js';
import { ErrorInfoSchema } from '../../../src/gen/google/rpc/error_details_pb.js';
import { type Status, StatusSchema } from '../../../src/gen/google/rpc/status_pb.js';
import { type Answer, CALL_MS } from './service.ts';

const SERVICE = '/gatehouse.v1.AuthService';
const OPTIONS = {
  // What was connected to a process that is gone is not to be waited for.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 500,
  // A question is asked once, so that it is known when.
  'grpc.enable_retries': 0,
  // Each caller has connections of its own.
  'grpc.use_local_subchannel_pool': 1,
};

type Ended = Omit<Answer, 'start' | 'end'>;

/** The connection broke, or no answer came in time. */
const LOST: Ended = { code: 'lost', reason: undefined, body: undefined };

/** One process of the service; where it listens is another address each time that it is started. */
export interface Listener {
  readonly name: string;
  /** `127.0.0.1:port` */
  readonly grpc: string;
}

/** Answers have the bodies, codes and reasons of the same call in JSON. None comes later than CALL_MS. */
export class GrpcCaller {
  /** By the process that is asked, and the key that is shown to it. */
  readonly #connections = new Map<string, Connection>();

  /** By a unary call. @param key of the caller. */
  unary(to: Listener, token: string, key?: string): Promise<Answer> {
    return this.#connection(to, key).unary(token);
  }

  /** By the stream that is open, or by another one where that has ended. @param key of the caller. */
  onStream(to: Listener, token: string, key?: string): Promise<Answer> {
    return this.#connection(to, key).onStream(token);
  }

  /** How many streams were opened to this process with this key. */
  streamsOpened(to: Listener, key?: string): number {
    return this.#connection(to, key).streamsOpened;
  }

  /** Closes the connections of one caller. */
  leave(key: string): void {
    for (const [of, connection] of this.#connections) {
      if (!of.endsWith(` ${key}`)) continue;
      connection.close();
      this.#connections.delete(of);
    }
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.close();
  }

  #connection({ name, grpc }: Listener, key: string | undefined): Connection {
    const of = `${name} ${key ?? ''}`;
    let connection = this.#connections.get(of);
    if (connection?.address !== grpc) {
      connection?.close();
      connection = new Connection(grpc, key);
      this.#connections.set(of, connection);
    }
    return connection;
  }
}

class Connection {
  readonly address: string;
  readonly #client: Client;
  readonly #metadata = new Metadata();
  #stream: QuestionStream | undefined;
  streamsOpened = 0;

  constructor(address: string, key: string | undefined) {
    this.address = address;
    this.#client = new Client(address, credentials.createInsecure(), OPTIONS);
    if (key !== undefined) this.#metadata.set('authorization', `Bearer ${key}`);
  }

  unary(token: string): Promise<Answer> {
    const request = Buffer.from(toBinary(VerifyRequestSchema, create(VerifyRequestSchema, { token })));
    return inTime((end) => {
      const call = this.#client.makeUnaryRequest<Buffer, Buffer>(
        `${SERVICE}/Verify`,
        asIs,
        asIs,
        request,
        this.#metadata,
        (error, response) => {
          if (response === undefined) end(refusedWith(error ?? {}));
          else end(answeredWith(fromBinary(VerifyResponseSchema, response)));
        },
      );
      return () => call.cancel();
    });
  }

  onStream(token: string): Promise<Answer> {
    if (this.#stream === undefined || this.#stream.isOver) {
      const call = this.#client.makeBidiStreamRequest<Buffer, Buffer>(
        `${SERVICE}/VerifyStream`,
        asIs,
        asIs,
        this.#metadata,
      );
      this.#stream = new QuestionStream(call);
      this.streamsOpened++;
    }
    return this.#stream.ask(token);
  }

  close(): void {
    this.#stream?.cancel();
    this.#client.close();
  }
}

/** One VerifyStream. */
class QuestionStream {
  readonly #call: ClientDuplexStream<Buffer, Buffer>;
  readonly #asked = new Map<string, (ended: Ended) => void>();
  #ids = 0;
  isOver = false;

  constructor(call: ClientDuplexStream<Buffer, Buffer>) {
    this.#call = call;
    call.on('data', (message: Buffer) => {
      const { id, result } = fromBinary(VerifyStreamResponseSchema, message);
      const end = this.#asked.get(id);
      this.#asked.delete(id);
      if (result.case === 'response') end?.(answeredWith(result.value));
      else end?.(refusal(result.value));
    });
    call.on('error', () => {});
    call.on('status', (status: StatusObject) => {
      this.isOver = true;
      const ended = refusedWith(status);
      for (const end of this.#asked.values()) end(ended);
      this.#asked.clear();
    });
  }

  ask(token: string): Promise<Answer> {
    const id = String(this.#ids++);
    const question = create(VerifyStreamRequestSchema, { id, request: { token } });
    const message = Buffer.from(toBinary(VerifyStreamRequestSchema, question));
    return inTime((end) => {
      this.#asked.set(id, end);
      this.#call.write(message);
      return () => this.#asked.delete(id);
    });
  }

  cancel(): void {
    this.#call.cancel();
  }
}

/** @param begin asks, and tells what came of it. @returns what gives the question up. */
function inTime(begin: (end: (ended: Ended) => void) => () => void): Promise<Answer> {
  return new Promise((resolve) => {
    const start = performance.now();
    const end = (ended: Ended) => {
      clearTimeout(timer);
      resolve({ ...ended, start, end: performance.now() });
    };
    const timer = setTimeout(() => {
      giveUp();
      end(LOST);
    }, CALL_MS);
    const giveUp = begin(end);
  });
}

const asIs = (bytes: Buffer) => bytes;

function answeredWith(response: VerifyResponse): Ended {
  return { code: 'ok', reason: undefined, body: toJson(VerifyResponseSchema, response) };
}

function refusedWith({ metadata }: { readonly metadata?: Metadata }): Ended {
  const [bytes] = metadata?.get('grpc-status-details-bin') ?? [];
  return refusal(bytes instanceof Uint8Array ? fromBinary(StatusSchema, bytes) : undefined);
}

/** What grpc-js makes up where it got no answer has no details; all that the service refuses has. */
function refusal(status: Status | undefined): Ended {
  if (status === undefined) return LOST;
  const infos = status.details.map((detail) => anyUnpack(detail, ErrorInfoSchema));
  const reason = infos.find((info) => info !== undefined)?.reason;
  return { code: (Code[status.code] ?? 'unknown').toLowerCase(), reason, body: undefined };
}
