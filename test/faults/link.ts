/**
 * A link of the network that a test owns: a TCP proxy before one server, which can be cut, fall silent and be slow. What
 * goes through is not looked at.
 */

import { connect, createServer, type Server, Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';

export interface Link {
  readonly port: number;
  /** Ends all connections, with what is under way on them, and refuses new ones. */
  cut(): void;
  /**
   * From now on what is sent is lost, either way, and no end of the server is told. New connections are accepted, and
   * lead nowhere. The connections that see this stay silent for good, as those of a peer that is gone: only their client
   * ends them.
   */
  halfOpen(): void;
  /** From now on what is sent, either way, arrives so many milliseconds later, in order; so does its end. */
  delay(ms: number): void;
  /** From now on new connections lead to another port, as behind a name that leads elsewhere; the others stay. */
  lead(targetPort: number): void;
  /**
   * From now on nothing is in the way, on the same port. What is under way arrives when it would have.
   * @throws Error where something else has taken the port since it was cut.
   */
  restore(): Promise<void>;
  /** Ends all connections and the link. */
  close(): void;
}

interface Faults {
  targetPort: number;
  halfOpen: boolean;
  delayMs: number;
}

interface Connection {
  silence(): void;
  destroy(): void;
}

/** A link to a port of this machine. A connection is accepted also where nothing listens there; then it ends at once. */
export async function link(targetPort: number): Promise<Link> {
  const faults: Faults = { targetPort, halfOpen: false, delayMs: 0 };
  const connections = new Set<Connection>();
  const accept = (client: Socket) => {
    const connection = connectionOf(client, faults, () => connections.delete(connection));
    connections.add(connection);
  };
  let server = await listening(0, accept);
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;

  const cut = () => {
    server.close();
    for (const connection of connections) connection.destroy();
  };
  return {
    port,
    cut,
    halfOpen() {
      faults.halfOpen = true;
      for (const connection of connections) connection.silence();
    },
    delay(ms) {
      faults.delayMs = ms;
    },
    lead(port) {
      faults.targetPort = port;
    },
    async restore() {
      Object.assign(faults, { halfOpen: false, delayMs: 0 });
      if (!server.listening) server = await listening(port, accept);
    },
    close: cut,
  };
}

/** @param onEnd called when both sides have ended. */
function connectionOf(client: Socket, faults: Faults, onEnd: () => void): Connection {
  let silent = faults.halfOpen;
  const target = silent ? new Socket().destroy() : connect(faults.targetPort, '127.0.0.1');
  const both = [client, target];
  for (const [from, to] of [
    [client, target],
    [target, client],
  ] as const) {
    const later = inOrder(faults);
    from.setNoDelay();
    // Its end follows.
    from.on('error', () => {});
    from.on('data', (chunk) => later(() => silent || to.write(chunk)));
    from.on('close', () => {
      later(() => (silent && to === client) || to.destroySoon());
      if (both.every((socket) => socket.destroyed)) onEnd();
    });
  }
  return {
    silence() {
      silent = true;
    },
    destroy() {
      for (const socket of both) socket.destroy();
    },
  };
}

/** Does each thing after the delay that was set when it came, and none before an earlier one. */
function inOrder(faults: Faults): (work: () => unknown) => void {
  let last = Promise.resolve();
  return (work) => {
    const due = performance.now() + faults.delayMs;
    last = last.then(async () => {
      // (A timer may be up to a millisecond early.)
      for (let left = due - performance.now(); left > 0; left = due - performance.now())
        await setTimeout(Math.ceil(left), undefined, { ref: false });
      work();
    });
  };
}

function listening(port: number, accept: (client: Socket) => void): Promise<Server> {
  const server = createServer(accept);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}
