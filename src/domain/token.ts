/**
 * The text form of keys: prefix + secret + optional checksum.
 *
 *     acx_9f86d081884c7d659a2feaa0c55ad015          prefix, 32 hex characters
 *     gate_Zk3...32 characters...Qw0a1B2c           prefix, 32 base62 characters, 6 of checksum
 */

import { randomFillSync } from 'node:crypto';
import { crc32 } from 'node:zlib';

export type Alphabet = 'hex' | 'base62';

/** The part of a keyspace that fixes what its keys look like; never changed after creation. */
export interface TokenFormat {
  readonly prefix: string;
  readonly alphabet: Alphabet;
  /** Characters of the alphabet, without prefix and checksum. */
  readonly secretLength: number;
  readonly checksum: boolean;
}

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const CHARACTERS: Record<Alphabet, string> = { hex: '0123456789abcdef', base62: BASE62 };
const PATTERNS: Record<Alphabet, RegExp> = { hex: /^[0-9a-f]*$/, base62: /^[0-9A-Za-z]*$/ };
export const CHECKSUM_LENGTH = 6;

/** Bits of entropy in `length` random characters of the alphabet. */
export function entropyBits(alphabet: Alphabet, length: number): number {
  return length * Math.log2(CHARACTERS[alphabet].length);
}

/** `length` characters of the alphabet, each equally likely, from the system's secure random source. */
export function randomText(alphabet: Alphabet, length: number): string {
  const characters = CHARACTERS[alphabet];
  // Bytes at or above the largest multiple of the alphabet's size are thrown away: taking them modulo
  // the size would make the first characters likelier than the others.
  const usable = 256 - (256 % characters.length);
  let text = '';
  while (text.length < length) {
    for (const byte of randomFillSync(new Uint8Array(length + 16))) {
      if (byte < usable && text.length < length) text += characters[byte % characters.length];
    }
  }
  return text;
}

/** A new key in this format. */
export function mintToken(format: TokenFormat): string {
  const body = format.prefix + randomText(format.alphabet, format.secretLength);
  return format.checksum ? body + checksumOf(body) : body;
}

/** CRC32 (IEEE) of the text in base62, six characters with zeros in front. */
export function checksumOf(text: string): string {
  let rest = crc32(text);
  let out = '';
  for (let index = 0; index < CHECKSUM_LENGTH; index++) {
    out = BASE62.charAt(rest % 62) + out;
    rest = Math.floor(rest / 62);
  }
  return out;
}

/**
 * Whether a text that begins with the format's prefix is a key in this format, checksum included.
 * Tells typos and junk from keys without asking the store.
 */
export function isWellFormed(format: TokenFormat, token: string): boolean {
  const secretEnd = format.prefix.length + format.secretLength;
  if (token.length !== secretEnd + (format.checksum ? CHECKSUM_LENGTH : 0)) return false;
  if (!token.startsWith(format.prefix)) return false;
  if (!PATTERNS[format.alphabet].test(token.slice(format.prefix.length, secretEnd))) return false;
  return !format.checksum || checksumOf(token.slice(0, secretEnd)) === token.slice(secretEnd);
}

/**
 * The token inside an Authorization value, a header or a form field: outer white space and one leading
 * `Bearer ` (any case) are taken off.
 */
export function bareToken(text: string): string {
  return text.trim().replace(/^bearer(?:\s+|$)/i, '');
}
