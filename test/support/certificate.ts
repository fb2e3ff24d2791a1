/** Certificates for the tests, made by openssl. */

import { spawnSync } from 'node:child_process';

/** Whether openssl is there to make them. */
export const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

/** Writes a certificate that vouches for itself, for `localhost` and 127.0.0.1, and its key as PEM files. */
export function makeCertificate(cert: string, key: string): void {
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-x509'];
  const made = spawnSync('openssl', [
    ...['req', ...kind, '-keyout', key, '-out', cert],
    ...['-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
  ]);
  if (made.status !== 0) throw new Error(made.stderr.toString());
}
