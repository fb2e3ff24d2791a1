/**
 * A proxy before a MongoDB server, for one process of the service: it reads the commands that go through, and can keep one
 * back. So a process can be ended between any two of its writes, without a switch for that in the service.
 */

import { connect, createServer, type Socket } from 'node:net';
import { BSON } from 'mongodb';
import type { MongoServer } from '../support/mongodb.ts';

/** A command with its documents, such as `{ insert: 'events', documents: [...], $db: ... }`. */
export type Command = Readonly<Record<string, unknown>>;

export interface Hold {
  /** How many commands are kept back. */
  readonly count: number;
  /** Resolves with the first of them. */
  readonly first: Promise<Command>;
  /** Sends on what was kept back, and keeps nothing back any more. Resolves when the server has answered it. */
  release(): Promise<void>;
}

export interface MongoProxy {
  uri(database: string): string;
  /** From now on keeps back the commands that `picks` says, and on the same connections whatever follows. */
  hold(picks: (command: Command) => boolean): Hold;
  close(): Promise<void>;
}

const HEADER_BYTES = 16;
const OP_MSG = 2013;

export async function startProxy(server: Pick<MongoServer, 'uri'>): Promise<MongoProxy> {
  const target = Number(new URL(server.uri('admin')).port);
  const holds = new Set<KeptBack>();
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
    upstream.pipe(client);
    client.on('data', commandReader(upstream, holds));
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    uri(database) {
      const uri = new URL(server.uri(database));
      uri.port = String(port);
      return uri.href;
    },
    hold(picks) {
      const hold = new KeptBack(picks, () => holds.delete(hold));
      holds.add(hold);
      return hold;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

class KeptBack implements Hold {
  count = 0;
  readonly first: Promise<Command>;
  readonly picks: (command: Command) => boolean;
  readonly #reached = Promise.withResolvers<Command>();
  readonly #later: (() => Promise<void>)[] = [];
  readonly #end: () => void;

  constructor(picks: (command: Command) => boolean, end: () => void) {
    this.picks = picks;
    this.#end = end;
    this.first = this.#reached.promise;
  }

  keep(command: Command, send: () => Promise<void>): void {
    this.count++;
    this.#later.push(send);
    this.#reached.resolve(command);
  }

  async release(): Promise<void> {
    this.#end();
    await Promise.all(this.#later.splice(0).map((send) => send()));
  }
}

/** Takes the bytes of one connection, and sends them on message by message. */
function commandReader(upstream: Socket, holds: ReadonlySet<KeptBack>): (chunk: Buffer) => void {
  let bytes = Buffer.alloc(0);
  let waiting: Buffer[] | undefined;
  let answered = () => {};
  for (const event of ['data', 'close']) upstream.on(event, () => answered());
  const pass = (message: Buffer): void => {
    if (waiting !== undefined) {
      waiting.push(message);
      return;
    }
    const command = commandOf(message);
    const hold = command && [...holds].find(({ picks }) => picks(command));
    if (command === undefined || hold === undefined) {
      upstream.write(message);
      return;
    }
    waiting = [message];
    hold.keep(command, () => {
      if (upstream.destroyed) return Promise.resolve();
      const { promise, resolve } = Promise.withResolvers<void>();
      answered = resolve;
      for (const one of waiting ?? []) upstream.write(one);
      waiting = undefined;
      return promise;
    });
  };
  return (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= HEADER_BYTES && bytes.length >= bytes.readInt32LE(0)) {
      const length = bytes.readInt32LE(0);
      pass(bytes.subarray(0, length));
      bytes = bytes.subarray(length);
    }
  };
}

/** The command of an OP_MSG: one section is the command itself, others hold documents of one of its fields. */
function commandOf(message: Buffer): Command | undefined {
  if (message.readInt32LE(12) !== OP_MSG) return undefined;
  const command: Record<string, unknown> = {};
  for (let at = HEADER_BYTES + 4; at < message.length; ) {
    const isDocument = message.readUInt8(at) === 0;
    const size = message.readInt32LE(at + 1);
    const section = message.subarray(at + 1, at + 1 + size);
    if (isDocument) Object.assign(command, BSON.deserialize(section));
    else {
      const end = section.indexOf(0, 4);
      command[section.toString('utf8', 4, end)] = documentsIn(section.subarray(end + 1));
    }
    at += 1 + size;
  }
  return command;
}

function documentsIn(bytes: Buffer): unknown[] {
  const documents: unknown[] = [];
  for (let at = 0; at < bytes.length; at += bytes.readInt32LE(at)) {
    documents.push(BSON.deserialize(bytes.subarray(at, at + bytes.readInt32LE(at))));
  }
  return documents;
}
