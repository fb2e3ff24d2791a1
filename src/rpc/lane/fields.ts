/** Fields of protobuf messages that have a length: texts and messages, the only ones that a plain question has. */

/** Where the content of the field that was read last begins and ends in its bytes. */
export interface Span {
  begin: number;
  end: number;
}

/**
 * Reads the length of the field whose tag is at `at`, and the place of its content.
 *
 * @param to where the message ends.
 * @returns false where it goes beyond that, or has a length of three bytes: no plain question is as long.
 */
export function readSpan(bytes: Buffer, at: number, to: number, span: Span): boolean {
  let length = bytes[at + 1] as number;
  let begin = at + 2;
  if (length >= 0x80) {
    const high = bytes[begin++] as number;
    if (high >= 0x80) return false;
    length = (length & 0x7f) | (high << 7);
  }
  span.begin = begin;
  span.end = begin + length;
  // (Not a number where the length itself is beyond the end of the bytes.)
  return span.end <= to;
}

/** Whether all of it is printable ASCII, which is the same in each encoding. */
export function isPlainText(bytes: Buffer, begin: number, end: number): boolean {
  for (let at = begin; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte < 0x20 || byte > 0x7e) return false;
  }
  return true;
}
