/** Where a Gatehouse is: `host:port`, `http://host:port` (plaintext) or `https://host:port` (TLS). */

/** An address taken apart. */
export interface Address {
  readonly tls: boolean;
  /** Name for grpc-js, such as `dns:127.0.0.1:50051`. */
  readonly target: string;
}

const DEFAULT_PORT = '50051';
const SCHEME = /^(https?):\/\//i;

/**
 * Reads an address. Without a scheme it is plaintext, without a port 50051.
 *
 *     parseAddress('https://keys.example.com')   // {tls: true, target: 'dns:keys.example.com:50051'}
 *
 * @throws TypeError with one sentence, where it is none; the text is not repeated, as it may hold a password.
 */
export function parseAddress(text: string): Address {
  const scheme = SCHEME.exec(text)?.[1]?.toLowerCase() ?? 'http';
  const rest = text.replace(SCHEME, '');
  // A scheme that URL knows no default port for, so that a port that was given is always seen.
  const url = URL.parse(`gatehouse://${rest}`);
  const isBare = url !== null && url.username + url.password + url.search + url.hash === '';
  if (!isBare || url.hostname === '' || !['', '/'].includes(url.pathname)) {
    throw new TypeError('an address must be host:port, http://host:port or https://host:port');
  }
  return { tls: scheme === 'https', target: `dns:${url.hostname}:${url.port || DEFAULT_PORT}` };
}
