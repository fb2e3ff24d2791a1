/** Messages of gRPC on the wire: a byte of flags, four of the length, the message. */

export const ENVELOPE_BYTES = 5;
/** From this size on the router compresses a message for a client that takes it so. */
export const COMPRESSED_FROM = 1024;

/** A message in its envelope, uncompressed. */
export function enveloped(message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(ENVELOPE_BYTES + message.length);
  bytes[0] = 0;
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, ENVELOPE_BYTES);
  return bytes;
}

/** Bytes of a length as protobuf writes it. */
export function lengthBytes(length: number): number {
  return length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x20_0000 ? 3 : 4;
}

/** Writes a tag of one byte and a length. @returns where the content begins. */
export function writeTag(bytes: Uint8Array, at: number, tag: number, length: number): number {
  let [next, rest] = [at, length];
  bytes[next++] = tag;
  for (; rest >= 0x80; rest >>>= 7) bytes[next++] = (rest & 0x7f) | 0x80;
  bytes[next++] = rest;
  return next;
}
