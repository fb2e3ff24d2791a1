/** Changes that are made to bytes, frames and fields, all decided by a seed. */

import type { Choices } from '../faults/coherence/random.ts';

/** Lengths and numbers at which parsers go wrong. */
const EDGES = [
  0, 1, 4, 5, 0x7f, 0x80, 0xff, 0x3fff, 0x4000, 0xffff, 0x10000, 0xffffff, 0x7fffffff, 0xffffffff,
];
/** Pieces of what the service parses: gRPC, protobuf, JSON, HTTP. */
const PIECES = [
  '\0',
  '\r\n',
  '\r\n\r\n',
  '\xff\xff\xff\xff',
  '\x00\x00\x00\x00\x00',
  '\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01',
  '\x0a\x00',
  '\x0b\x0c',
  '\xed\xa0\x80',
  '{"a":'.repeat(50),
  '[[[[[[[[',
  '"__proto__":{},',
  'null',
  '1e999',
  '\\ud800',
  '0\r\n\r\n',
  'transfer-encoding: chunked\r\n',
  'content-length: 5\r\n',
].map((text) => Buffer.from(text, 'latin1'));

/** One to three changes. */
export function mutateBytes(bytes: Buffer, choices: Choices): Buffer {
  let changed = bytes;
  for (let left = choices.between(1, 3); left > 0; left--) changed = mutateOnce(changed, choices);
  return changed;
}

function mutateOnce(bytes: Buffer, { between, oneOf, weighted }: Choices): Buffer {
  const at = between(0, bytes.length);
  const length = between(0, Math.min(16, bytes.length - at));
  const part = bytes.subarray(at, at + length);
  const replaced = (by: Uint8Array, behind = at + length) =>
    Buffer.concat([bytes.subarray(0, at), by, bytes.subarray(behind)]);
  const kind = weighted({ flip: 4, byte: 4, piece: 2, edge: 2, remove: 2, repeat: 1, cut: 1 });
  switch (kind) {
    case 'flip': {
      const copy = Buffer.from(bytes);
      if (at < copy.length) copy[at] = (copy[at] ?? 0) ^ (1 << between(0, 7));
      return copy;
    }
    case 'byte':
      return replaced(Buffer.from([between(0, 255)]), at + 1);
    case 'piece':
      return replaced(oneOf(PIECES), at);
    case 'edge': {
      const number = Buffer.alloc(4);
      number.writeUInt32BE(oneOf(EDGES));
      return replaced(number, at + 4);
    }
    case 'remove':
      return replaced(Buffer.alloc(0));
    case 'repeat':
      return replaced(Buffer.concat(Array.from({ length: between(2, 40) }, () => part)));
    case 'cut':
      return bytes.subarray(0, at);
  }
}

export type Field = readonly [name: string, value: string];

const MORE_FIELDS: readonly Field[] = [
  ['te', 'gzip'],
  ['connection', 'close'],
  ['content-length', '3'],
  ['transfer-encoding', 'chunked'],
  ['grpc-encoding', 'gzip'],
  ['grpc-encoding', 'snappy'],
  ['grpc-timeout', '1n'],
  ['grpc-timeout', '99999999H'],
  ['grpc-timeout', '-1S'],
  ['content-type', 'application/json'],
  ['content-type', 'application/grpc-web'],
  ['connect-protocol-version', '9'],
  ['authorization', 'Bearer'],
  ['authorization', ''],
  ['x-api-key', 'ghm_other'],
  ['x-request-id', 'x'.repeat(500)],
  ['x-gatehouse-on-behalf-of', '\xff'],
  [':path', '/'],
  [':status', '200'],
  [':unknown', ''],
  ['cookie', 'a=b'],
  ['', ''],
  ['Upper', 'x'],
  ['expect', '100-continue'],
  ['upgrade', 'h2c'],
];

export function mutateFields(fields: readonly Field[], choices: Choices): Field[] {
  const changed = [...fields];
  const at = choices.between(0, changed.length - 1);
  const [name, value] = changed[at] ?? ['', ''];
  const text = (one: string) => mutateBytes(Buffer.from(one, 'latin1'), choices).toString('latin1');
  switch (choices.weighted({ value: 4, name: 2, add: 3, remove: 2, repeat: 1, move: 1, long: 1 })) {
    case 'value':
      changed[at] = [name, text(value)];
      break;
    case 'name':
      changed[at] = [text(name), value];
      break;
    case 'add':
      changed.splice(at, 0, choices.oneOf(MORE_FIELDS));
      break;
    case 'remove':
      changed.splice(at, 1);
      break;
    case 'repeat':
      changed.push([name, value]);
      break;
    case 'move':
      changed.splice(at, 1);
      changed.push([name, value]);
      break;
    case 'long':
      changed[at] = [name, value + 'x'.repeat(choices.between(100, 20_000))];
      break;
  }
  return changed;
}
