/** Opening a port, with an error that names the setting to change. */

import type { AddressInfo, Server } from 'node:net';

/** A port could not be opened; the message is the one line to print. */
export class CannotListen extends Error {}

/** What the operating system says, and what it means. */
const CAUSES: Readonly<Record<string, (setting: string, port: number, host: string) => string>> = {
  EADDRINUSE: (setting, port, host) => `${setting} ${port} is in use on ${host}`,
  EACCES: (setting, port, host) => `${setting} ${port} on ${host} may not be opened by this user`,
  EADDRNOTAVAIL: (_setting, _port, host) => `GATEHOUSE_HOST ${host} is not an address of this machine`,
  ENOTFOUND: (_setting, _port, host) => `GATEHOUSE_HOST ${host} is not known`,
};

/**
 * @returns the port that was opened, which is another one where 0 was asked for.
 * @throws CannotListen
 */
export function listen(server: Server, setting: string, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => {
      const text = CAUSES[error.code ?? '']?.(setting, port, host);
      reject(new CannotListen(text ?? `${setting} ${port} could not be opened on ${host}`, { cause: error }));
    };
    server.once('error', failed);
    server.listen({ port, host }, () => {
      server.off('error', failed);
      resolve(portOf(server.address()));
    });
  });
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('the server listens on no port');
  return address.port;
}
