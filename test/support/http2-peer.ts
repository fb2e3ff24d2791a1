/**
 * A peer that writes its own HTTP/2 frames: what no library would send, and no more of HTTP/2 than that takes. It opens no
 * window by itself.
 */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  resetStream: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;
/** The same bit is ACK in SETTINGS and PING. */
export const [END_STREAM, ACK, END_HEADERS] = [1, 1, 4];
export const ERROR = { none: 0, cancel: 8, enhanceYourCalm: 11 } as const;
export const SETTING = { headerTableSize: 1, initialWindowSize: 4 } as const;

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const HEADER_BYTES = 9;
const MAX_PAYLOAD = 16_384;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(HEADER_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function resetStream(stream: number, code: number = ERROR.cancel): Buffer {
  return frame(TYPE.resetStream, 0, stream, uint32(code));
}

export function windowUpdate(stream: number, bytes: number): Buffer {
  return frame(TYPE.windowUpdate, 0, stream, uint32(bytes));
}

export function settings(...values: readonly (readonly [id: number, value: number])[]): Buffer {
  return frame(
    TYPE.settings,
    0,
    0,
    Buffer.concat(values.flatMap(([id, value]) => [uint16(id), uint32(value)])),
  );
}

export function ping(payload = Buffer.alloc(8)): Buffer {
  return frame(TYPE.ping, 0, 0, payload);
}

/** A block in one frame of HEADERS and as many of CONTINUATION as it takes. */
export function headers(stream: number, block: Buffer, flags = END_HEADERS): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at === 0 || at < block.length; at += MAX_PAYLOAD) {
    const last = at + MAX_PAYLOAD >= block.length;
    const type = at === 0 ? TYPE.headers : TYPE.continuation;
    const own = (at === 0 ? flags & ~END_HEADERS : 0) | (last ? flags & END_HEADERS : 0);
    parts.push(frame(type, own, stream, block.subarray(at, at + MAX_PAYLOAD)));
  }
  return Buffer.concat(parts);
}

/** HPACK: literals that are not put into the table, without Huffman's code. */
export function headerBlock(fields: Iterable<readonly [name: string, value: string]>): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of fields) parts.push(Buffer.from([0]), text(name), text(value));
  return Buffer.concat(parts);
}

/** HPACK: a literal that is put into the table, where it can be named by INDEXED from then on. */
export function indexedField(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0x40]), text(name), text(value)]);
}

/** HPACK: the newest entry of the table. */
export const INDEXED = 0x80 | 62;

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export class Http2Peer {
  readonly socket: Socket;
  /** What came, oldest first. */
  readonly frames: Frame[] = [];
  /** Resolves once the connection is closed, by whomever. */
  readonly closed: Promise<void>;
  #rest: Buffer = Buffer.alloc(0);
  #waiting: (() => void)[] = [];
  readonly #acknowledges: boolean;

  /** @param acknowledges the service's settings. */
  constructor(socket: Socket, acknowledges: boolean) {
    this.socket = socket;
    this.#acknowledges = acknowledges;
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        resolve();
        this.#tell();
      });
    });
    // A reset by the service is one of the ways in which it may end a connection.
    socket.on('error', () => {});
    socket.on('data', (bytes) => this.#read(bytes));
  }

  /** @param address `host:port` @param own settings instead of the defaults. */
  static async open(
    address: string,
    own: readonly (readonly [id: number, value: number])[] = [],
    { acknowledges = true } = {},
  ): Promise<Http2Peer> {
    const { hostname, port } = new URL(`http://${address}`);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    const peer = new Http2Peer(socket, acknowledges);
    peer.send(Buffer.from(PREFACE), settings(...own));
    return peer;
  }

  get isOpen(): boolean {
    return !this.socket.destroyed && this.socket.writable;
  }

  /** @returns whether more may be sent at once. */
  send(...frames: readonly Buffer[]): boolean {
    return this.isOpen && this.socket.write(Buffer.concat(frames));
  }

  /** As `send`, and waits until the service has taken it, or is no longer there. */
  async sent(...frames: readonly Buffer[]): Promise<void> {
    if (this.send(...frames) || !this.isOpen) return;
    const drained = new AbortController();
    await Promise.race([once(this.socket, 'drain', { signal: drained.signal }).catch(() => {}), this.closed]);
    drained.abort();
  }

  /** The first frame like that, as soon as it is there; undefined where the connection closes before. */
  async find(wanted: (frame: Frame) => boolean): Promise<Frame | undefined> {
    for (let from = 0; ; ) {
      for (; from < this.frames.length; from++) {
        const found = this.frames[from];
        if (found !== undefined && wanted(found)) return found;
      }
      if (this.socket.destroyed) return undefined;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** The error code of the GOAWAY that came last. */
  get goaway(): number | undefined {
    return this.frames.findLast(({ type }) => type === TYPE.goaway)?.payload.readUInt32BE(4);
  }

  end(): void {
    this.socket.destroy();
  }

  #read(bytes: Buffer): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < end) break;
      const [type, flags] = [this.#rest.readUInt8(3), this.#rest.readUInt8(4)];
      if (type === TYPE.settings && (flags & ACK) === 0 && this.#acknowledges)
        this.send(frame(TYPE.settings, ACK, 0));
      this.frames.push({
        type,
        flags,
        stream: this.#rest.readUInt32BE(5) & 0x7fffffff,
        payload: Buffer.from(this.#rest.subarray(HEADER_BYTES, end)),
      });
      this.#rest = this.#rest.subarray(end);
    }
    this.#tell();
  }

  #tell(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
