/** How a body goes into frames: as a library would cut it, at odd places, and mutated. */

import type { Choices } from '../faults/coherence/random.ts';
import { END_STREAM, frame, TYPE } from '../support/http2-peer.ts';
import { mutateBytes } from './mutate.ts';

const MAX_FRAME = 16_384;
const PADDED = 8;
/** Bytes of a body that come one by one. */
const SINGLE_BYTES = 40;

/** A body in one frame or in several, and the stream's end with the last. */
export function dataFrames(stream: number, body: Buffer, { between }: Choices): Buffer[] {
  const cut = between(0, 2) === 0 ? between(0, body.length) : body.length;
  const rest = body.subarray(cut);
  const last = rest.length === 0;
  const first = frame(TYPE.data, last ? END_STREAM : 0, stream, body.subarray(0, Math.min(cut, MAX_FRAME)));
  return last ? [first] : [first, frame(TYPE.data, END_STREAM, stream, rest.subarray(0, MAX_FRAME))];
}

/** Messages in frames that do not end the stream: one in each, several in one, cut at odd places, byte by byte, empty ones between. */
export function oddFrames(stream: number, messages: readonly Buffer[], choices: Choices): Buffer[] {
  return partsOf(messages, choices)
    .flatMap((part) => (part.length <= MAX_FRAME ? [part] : cutAt(part, everyFrame(part.length))))
    .flatMap((part) => {
      const one = dataFrame(stream, part, choices);
      return choices.between(0, 15) === 0 ? [one, frame(TYPE.data, 0, stream)] : [one];
    });
}

function partsOf(messages: readonly Buffer[], { between, weighted }: Choices): readonly Buffer[] {
  const body = Buffer.concat(messages);
  switch (weighted({ each: 2, one: 2, odd: 3, bytes: 1 })) {
    case 'each':
      return messages;
    case 'one':
      return [body];
    case 'odd':
      return cutAt(
        body,
        Array.from({ length: between(1, 8) }, () => between(0, body.length)),
      );
    case 'bytes':
      return cutAt(
        body,
        Array.from({ length: Math.min(SINGLE_BYTES, body.length) }, (_, index) => index),
      );
  }
}

export function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [0, ...places, bytes.length].sort((one, other) => one - other);
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
}

function everyFrame(length: number): number[] {
  return Array.from({ length: Math.floor(length / MAX_FRAME) }, (_, index) => (index + 1) * MAX_FRAME);
}

function dataFrame(stream: number, part: Buffer, { between }: Choices): Buffer {
  if (between(0, 7) > 0 || part.length > MAX_FRAME - 256) return frame(TYPE.data, 0, stream, part);
  const padding = between(0, 255);
  return frame(
    TYPE.data,
    PADDED,
    stream,
    Buffer.concat([Buffer.from([padding]), part, Buffer.alloc(padding)]),
  );
}

/** One of them changed, left out, repeated, or one of another kind among them. */
export function mutateFrames(frames: readonly Buffer[], choices: Choices): Buffer[] {
  const changed = [...frames];
  const at = choices.between(0, changed.length - 1);
  const one = Buffer.from(changed[at] ?? Buffer.alloc(0));
  switch (choices.weighted({ head: 4, bytes: 3, drop: 1, repeat: 1, swap: 1, foreign: 3 })) {
    case 'head':
      // Length, type, flags, stream.
      one[choices.between(0, 8)] = choices.between(0, 255);
      changed[at] = one;
      break;
    case 'bytes':
      changed[at] = mutateBytes(one, choices);
      break;
    case 'drop':
      changed.splice(at, 1);
      break;
    case 'repeat':
      changed.splice(at, 0, one);
      break;
    case 'swap':
      changed.reverse();
      break;
    case 'foreign': {
      const payload = mutateBytes(Buffer.alloc(choices.between(0, 24)), choices);
      const stream = choices.oneOf([0, 1, 3, one.readUInt32BE(5), 2, 0x7fffffff]);
      const type = choices.between(0, 12);
      changed.splice(at, 0, frame(type, choices.between(0, 255), stream, payload));
      break;
    }
  }
  return changed;
}
