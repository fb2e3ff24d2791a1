/** Valid calls, and what mutation makes of them, as they go onto the wire of either port. */

import { create, type DescMessage, type MessageInitShape, toBinary, toJsonString } from '@bufbuild/protobuf';
import {
  VerifyBatchRequestSchema,
  VerifyRequestSchema,
  VerifyStreamRequestSchema,
} from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { GetKeyRequestSchema, ListKeysRequestSchema } from '../../src/gen/gatehouse/v1/key_service_pb.js';
import type { Choices } from '../faults/coherence/random.ts';
import { enveloped } from '../support/besieged.ts';
import { END_HEADERS, headerBlock, headers } from '../support/http2-peer.ts';
import { dataFrames, mutateFrames } from './framing.ts';
import { type Field, mutateBytes, mutateFields } from './mutate.ts';
import { Questions } from './questions.ts';
import { type Asked, batchOf, streamOf } from './streams.ts';

/** What is mutated: parts of one call, the questions of a stream or a batch. */
export type Kind = 'frame' | 'header' | 'envelope' | 'protobuf' | 'json' | 'http1' | 'stream' | 'batch';
const WITHIN_FRAMES = { header: 3, envelope: 2, protobuf: 3, json: 2 } as const;

interface Call {
  readonly path: string;
  readonly binary: Buffer;
  readonly json: Buffer;
}

export class Conversations {
  readonly #calls: readonly Call[];
  readonly #questions: Questions;

  /** @param refused tokens that no Verify may ever call valid. */
  constructor(refused: readonly string[]) {
    const auth = 'gatehouse.v1.AuthService';
    const keys = 'gatehouse.v1.KeyService';
    const questions = refused.map((token) => ({
      token,
      keyspaces: ['default'],
      permissions: ['docs:read', 'a:b'],
      project: 'p1',
      context: { clientIp: '192.0.2.1' },
    }));
    this.#questions = new Questions([...refused.map((token) => ({ token })), ...questions]);
    this.#calls = [
      ...refused.map((token) => callOf(`${auth}/Verify`, VerifyRequestSchema, { token })),
      ...questions.map((question) => callOf(`${auth}/Verify`, VerifyRequestSchema, question)),
      callOf(`${auth}/VerifyBatch`, VerifyBatchRequestSchema, { requests: questions }),
      callOf(`${auth}/VerifyStream`, VerifyStreamRequestSchema, { id: 'a', request: questions[0] ?? {} }),
      callOf(`${keys}/GetKey`, GetKeyRequestSchema, { id: 'key_1234567890123456789012' }),
      callOf(`${keys}/ListKeys`, ListKeysRequestSchema, { keyspace: 'default', pageSize: 3 }),
    ];
  }

  /** One mutated call over HTTP/2. @param frames whether the frames are mutated, or what is in them. */
  http2(stream: number, key: string, frames: boolean, choices: Choices): { kind: Kind; bytes: Buffer } {
    const kind = frames ? 'frame' : choices.weighted(WITHIN_FRAMES);
    const { path, binary, json } = choices.oneOf(this.#calls);
    const asJson = kind === 'json' || choices.between(0, 3) === 0;
    const isConnect = asJson && choices.between(0, 1) === 0;
    const fields: Field[] = [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', path],
      [':authority', 'localhost'],
      ['content-type', isConnect ? 'application/json' : `application/grpc${asJson ? '+json' : ''}`],
      ['te', 'trailers'],
      ['authorization', `Bearer ${key}`],
    ];
    let message = asJson ? json : binary;
    if (kind === 'protobuf' || kind === 'json') message = mutateBytes(message, choices);
    let body = isConnect ? message : enveloped(message);
    if (kind === 'envelope')
      body = Buffer.concat([mutateBytes(body.subarray(0, 5), choices), body.subarray(5)]);
    const block = headerBlock(kind === 'header' ? mutateFields(fields, choices) : fields);
    const parts = [headers(stream, block, END_HEADERS), ...dataFrames(stream, body, choices)];
    return { kind, bytes: Buffer.concat(kind === 'frame' ? mutateFrames(parts, choices) : parts) };
  }

  /** A call of many questions. @param owes whether answers to sound ones are owed: no frames are mutated then. */
  questions(stream: number, key: string, owes: boolean, choices: Choices): { kind: Kind; asked: Asked } {
    const kind = choices.weighted({ stream: 4, batch: 1 });
    const make = kind === 'stream' ? streamOf : batchOf;
    return { kind, asked: make(this.#questions, { stream, key, owes }, choices) };
  }

  /** One mutated request over HTTP/1.1. */
  http1(key: string, choices: Choices): { kind: Kind; bytes: Buffer } {
    const { path, json, binary } = choices.oneOf(this.#calls);
    const asJson = choices.between(0, 3) > 0;
    const kind = choices.weighted({ http1: 3, header: 2, [asJson ? 'json' : 'protobuf']: 3 }) as Kind;
    let body = asJson ? json : binary;
    if (kind === 'json' || kind === 'protobuf') body = mutateBytes(body, choices);
    const fields: Field[] = [
      ['host', 'localhost'],
      ['content-type', asJson ? 'application/json' : 'application/proto'],
      ['authorization', `Bearer ${key}`],
      ['content-length', String(body.length)],
    ];
    const lines = (kind === 'header' ? mutateFields(fields, choices) : fields).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    );
    const bytes = Buffer.concat([
      Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1'),
      body,
    ]);
    return { kind, bytes: kind === 'http1' ? mutateBytes(bytes, choices) : bytes };
  }
}

function callOf<Desc extends DescMessage>(path: string, schema: Desc, init: MessageInitShape<Desc>): Call {
  const message = create(schema, init);
  return {
    path: `/${path}`,
    binary: Buffer.from(toBinary(schema, message)),
    json: Buffer.from(toJsonString(schema, message)),
  };
}
