/** The friendly block that a start prints to stderr. The log, which is for machines, goes to stdout. */

import { readFileSync } from 'node:fs';
import type { App } from './app.ts';
import type { Settings } from './settings.ts';
import { describeLocation } from './storage/open.ts';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** What runs where; on the first start the root key, this once, with lines to paste. */
export function greeting(settings: Settings, app: App): string {
  const { grpcAddress, httpAddress, roots } = app;
  const scheme = settings.tls === undefined ? 'http' : 'https';
  // What listens everywhere is reached here by the loopback address.
  const base = `${scheme}://${httpAddress.replace(/^(0\.0\.0\.0|\[::\]):/, '127.0.0.1:')}`;
  const lines = [
    '',
    `  Gatehouse ${version}`,
    '',
    `  gRPC    ${grpcAddress}`,
    `  HTTP    ${base}   (Connect, gRPC-Web, JSON, /healthz, /readyz, /metrics)`,
    `  Store   ${describeLocation(settings.mongodbUri ?? settings.data)}`,
    ...redisLines(settings.redisUrl, app.leaseHeld),
    ...(settings.workers === 1 ? [] : [`  Workers ${settings.workers}`]),
    `  Access  ${roots.live} root key${roots.live === 1 ? '' : 's'}`,
    '',
    ...(roots.generated === undefined ? [] : firstSteps(base, roots.generated)),
    ...warnings(settings, roots).flatMap((warning) => [`  Note: ${warning}`, '']),
  ];
  return `${lines.join('\n')}\n`;
}

/** Where it is, without the user and the password; and whether it is of use by now. */
function redisLines(url: string | undefined, leaseHeld: boolean | undefined): string[] {
  if (url === undefined || leaseHeld === undefined) return [];
  const { protocol, host, pathname } = new URL(url);
  const place = `${protocol === 'rediss:' ? 'TLS, ' : ''}${host}${pathname.replace(/^\/0?$/, '')}`;
  return [`  Redis   ${place}, ${leaseHeld ? 'lease held' : 'no lease yet'}`];
}

function firstSteps(base: string, rootKey: string): string[] {
  const call = (method: string, body: string) =>
    `curl -sS ${base}/gatehouse.v1.${method} -H "authorization: Bearer $GATEHOUSE_KEY" -H "content-type: application/json" -d ${body}`;
  return [
    '  The root key, shown this once. Keep it as you keep a password:',
    '',
    `  export GATEHOUSE_KEY=${rootKey}`,
    '',
    '  Paste that line, then these: the first makes a key, the second verifies it.',
    '',
    `  KEY=$(${call('KeyService/CreateKey', `'{"keyspace": "default", "name": "my first key"}'`)} | tee /dev/stderr | sed 's/.*"secret": *"\\([^"]*\\)".*/\\1/'); echo`,
    `  ${call('AuthService/Verify', '"{\\"token\\": \\"$KEY\\"}"')}; echo`,
    '',
  ];
}

function warnings(
  { host, tls, verifyAccess, mongodbUri, redisUrl }: Settings,
  roots: App['roots'],
): string[] {
  const found: string[] = [];
  if (verifyAccess === 'open')
    found.push('anyone who reaches a port may call Verify (GATEHOUSE_VERIFY_ACCESS=open).');
  if (tls === undefined && !isLoopback(host)) {
    found.push(
      `keys travel in plain text on ${host}; set GATEHOUSE_TLS_CERT and GATEHOUSE_TLS_KEY, or keep it behind TLS.`,
    );
  }
  if (mongodbUri !== undefined && (redisUrl ?? 'none') === 'none') {
    found.push('no record is cached, since other processes may write to the database: each Verify reads it.');
  }
  if (roots.settingRevoked)
    found.push('the key in GATEHOUSE_ROOT_KEY was revoked and stays so; set a new one.');
  if (roots.live === 0 && !roots.settingRevoked) {
    found.push(
      'no root key can be used; set GATEHOUSE_ROOT_KEY to a new one (`gatehouse root-key` mints it).',
    );
  }
  return found;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
