/** VerifyStream and VerifyBatch as they go onto the wire: sound ones, whose answers are owed, and mutated ones. */

import { gzipSync } from 'node:zlib';
import { fromBinary } from '@bufbuild/protobuf';
import {
  VerifyBatchResponseSchema,
  VerifyStreamResponseSchema,
} from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import type { Choices } from '../faults/coherence/random.ts';
import { enveloped } from '../support/besieged.ts';
import { END_STREAM, frame, headerBlock, headers, resetStream, TYPE } from '../support/http2-peer.ts';
import { mutateFrames, oddFrames } from './framing.ts';
import type { Message, Questions } from './questions.ts';

const AUTH = '/gatehouse.v1.AuthService';
/** More than VerifyBatch takes, at times. */
const MAX_ITEMS = 104;
const MOST_ITEMS = 100;
const MAX_QUESTIONS = 24;
/** Above what one message may have. */
const HUGE_BYTES = 66_000;
const LENGTHS = [0, 1, 4, 0x7f, 0xffff, 0x10000, 0x10001, 0x100001, 0x7fffffff, 0xffffffff];
const FLAGS = [1, 2, 3, 0x80, 0x81, 0xff];

export interface Asked {
  readonly stream: number;
  /** Frames. */
  readonly bytes: Buffer;
  readonly mutations: number;
  /** Whether it ends by itself, or by its client. */
  readonly ends: boolean;
  /** Says of the messages of the answer whether they are what has to come; absent where that is up to the mutation. */
  readonly isAnswer?: (messages: readonly Buffer[]) => boolean;
}

interface Wire {
  readonly stream: number;
  readonly key: string;
  /** Whether answers to what is sound are owed: not where mutated frames may end the connection. */
  readonly owes: boolean;
}

/** A VerifyStream of several questions. */
export function streamOf(questions: Questions, wire: Wire, choices: Choices): Asked {
  const { between, oneOf } = choices;
  const { stream, key, owes } = wire;
  const count = between(0, MAX_QUESTIONS);
  const packs = between(0, 3) === 0;
  const ids = Array.from({ length: count }, (_, index) => `q${index}`);
  const path = `${AUTH}/VerifyStream`;
  if (owes && between(0, 1) === 0) {
    const asked = ids.map((id) => questions.sound(id, choices));
    const messages = asked.map(({ bytes }) =>
      packs && between(0, 1) === 0 ? packed(bytes) : enveloped(bytes),
    );
    const head = headers(stream, block(path, key, 'application/grpc', packs));
    return {
      stream,
      bytes: Buffer.concat([head, ...ended(oddFrames(stream, messages, choices), stream, choices)]),
      mutations: asked.filter(({ mutated }) => mutated).length + 1,
      ends: true,
      isAnswer: (answers) => isAnswerTo(asked, answers),
    };
  }
  const type = oneOf([
    'grpc',
    'grpc',
    'grpc+proto',
    'grpc+json',
    'connect+proto',
    'connect+json',
    'grpc-web',
  ]);
  const asJson = type.endsWith('json');
  let mutations = 1;
  const messages = ids.map((id) => {
    const kind = choices.weighted({ sound: 6, mutated: 8, envelope: 1, empty: 1 });
    if (kind !== 'sound') mutations++;
    if (kind === 'empty') return enveloped(Buffer.alloc(0));
    const { bytes } =
      kind === 'mutated' ? questions.mutated(id, choices, asJson) : questions.sound(id, choices, asJson);
    return kind === 'envelope' ? oddEnvelope(bytes, wire, choices) : enveloped(bytes);
  });
  const head = headers(stream, block(path, key, `application/${type}`, packs));
  const { frames, ends } = broken([head, ...oddFrames(stream, messages, choices)], stream, choices);
  const mutated = !owes && between(0, 2) === 0;
  return { stream, bytes: Buffer.concat(mutated ? mutateFrames(frames, choices) : frames), mutations, ends };
}

/** A VerifyBatch whose items are mutated each by itself. */
export function batchOf(questions: Questions, { stream, key, owes }: Wire, choices: Choices): Asked {
  const sound = choices.between(0, 2) === 0;
  const count = choices.between(1, choices.between(0, 3) === 0 ? MAX_ITEMS : MAX_QUESTIONS);
  const items = Array.from({ length: count }, () => questions.item(choices, sound));
  const message = enveloped(Buffer.concat(items.map(({ bytes }) => bytes)));
  const head = headers(stream, block(`${AUTH}/VerifyBatch`, key, 'application/grpc', false));
  const mutations = items.filter(({ mutated }) => mutated).length + 1;
  const frames = [head, ...ended(oddFrames(stream, [message], choices), stream, choices)];
  return {
    stream,
    bytes: Buffer.concat(owes || choices.between(0, 2) > 0 ? frames : mutateFrames(frames, choices)),
    mutations,
    ends: true,
    ...(owes && sound && { isAnswer: (answers) => isBatchAnswer(count, answers) }),
  };
}

function isAnswerTo(asked: readonly Message[], answers: readonly Buffer[]): boolean {
  const given = answers.map((answer) => fromBinary(VerifyStreamResponseSchema, answer));
  const accepted = given.some(({ result }) => result.case === 'response' && result.value.valid);
  const ids = (all: readonly { readonly id: string }[]) => all.map(({ id }) => id).sort();
  return !accepted && ids(asked).join() === ids(given).join() && given.every(({ result }) => result.case);
}

function isBatchAnswer(count: number, answers: readonly Buffer[]): boolean {
  const given = answers.flatMap((answer) => fromBinary(VerifyBatchResponseSchema, answer).results);
  const accepted = given.some(({ result }) => result.case === 'response' && result.value.valid);
  return !accepted && given.length === (count > MOST_ITEMS ? 0 : count);
}

function block(path: string, key: string, type: string, packs: boolean): Buffer {
  return headerBlock([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'localhost'],
    ['content-type', type],
    ['te', 'trailers'],
    ['authorization', `Bearer ${key}`],
    ...(packs
      ? [[type.includes('connect') ? 'connect-content-encoding' : 'grpc-encoding', 'gzip'] as const]
      : []),
  ]);
}

function packed(message: Buffer): Buffer {
  const envelope = enveloped(gzipSync(message));
  envelope[0] = 1;
  return envelope;
}

/** What follows it on the stream is read at the wrong place, or not at all. */
function oddEnvelope(message: Buffer, { owes }: Wire, { between, oneOf, weighted }: Choices): Buffer {
  // More than the windows hold without an update ends the connection.
  switch (weighted({ flags: 3, length: 3, packed: 2, huge: owes ? 0 : 0.2 })) {
    case 'flags': {
      const envelope = enveloped(message);
      envelope[0] = oneOf(FLAGS);
      return envelope;
    }
    case 'length': {
      const envelope = enveloped(message);
      envelope.writeUInt32BE(
        between(0, 1) === 0 ? oneOf(LENGTHS) : Math.max(0, message.length + between(-3, 3)),
        1,
      );
      return envelope;
    }
    case 'packed': {
      const envelope = packed(message);
      const at = between(0, envelope.length);
      return between(0, 1) === 0
        ? envelope
        : Buffer.concat([envelope.subarray(0, at), envelope.subarray(at + 2)]);
    }
    case 'huge':
      return enveloped(Buffer.alloc(HUGE_BYTES));
  }
}

/** Its end in the last frame of data, or after it. */
function ended(frames: readonly Buffer[], stream: number, { between }: Choices): Buffer[] {
  const last = Buffer.from(frames.at(-1) ?? []);
  if (last.length === 0 || between(0, 2) === 0) return [...frames, frame(TYPE.data, END_STREAM, stream)];
  last[4] = (last[4] ?? 0) | END_STREAM;
  return [...frames.slice(0, -1), last];
}

/** With its end, with trailers for an end, reset in the middle, or left open. */
function broken(
  frames: readonly Buffer[],
  stream: number,
  choices: Choices,
): { readonly frames: readonly Buffer[]; readonly ends: boolean } {
  switch (choices.weighted({ end: 4, trailers: 1, reset: 2, open: 1 })) {
    case 'end':
      return { frames: [...frames, frame(TYPE.data, END_STREAM, stream)], ends: true };
    case 'trailers': {
      const trailers = headers(stream, headerBlock([['x-note', 'a']]), END_STREAM | 4);
      return { frames: [...frames, trailers], ends: true };
    }
    case 'reset': {
      const at = choices.between(1, frames.length);
      const reset = resetStream(stream, choices.between(0, 13));
      return { frames: [...frames.slice(0, at), reset], ends: false };
    }
    case 'open':
      return { frames, ends: false };
  }
}
