/** The only reader of the environment. */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { makePepper, type Pepper } from './domain/digest.ts';

export type VerifyLogging = 'refused' | 'all' | 'none';
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface TlsSettings {
  /** PEM texts. */
  readonly cert: string;
  readonly key: string;
  /** Set: clients must show a certificate of this authority. */
  readonly clientCa?: string;
}

export interface Settings {
  readonly host: string;
  readonly grpcPort: number;
  readonly httpPort: number;
  /** File of the embedded store, or `:memory:`; unused where `mongodbUri` is set. */
  readonly data: string;
  /** The database that is the system of record; it may hold a password. */
  readonly mongodbUri: string | undefined;
  /** The Redis that all replicas share; it may hold a password. `none`: they are to share none any more. */
  readonly redisUrl: string | undefined;
  readonly rootKey: string | undefined;
  readonly peppers: readonly Pepper[];
  readonly verifyAccess: 'key' | 'open';
  readonly logLevel: LogLevel;
  readonly logVerify: VerifyLogging;
  readonly tls: TlsSettings | undefined;
  /** Processes behind the two ports. */
  readonly workers: number;
}

/** A setting that stops the start; the message is the one line to print. */
export class BadSetting extends Error {}

type Environment = Readonly<Record<string, string | undefined>>;

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
const ROOT_KEY = /^ghm_[A-Za-z0-9_-]{32,128}$/;
const PEPPER = /^([A-Za-z0-9._-]{1,32}):([A-Za-z0-9+/]+={0,2})$/;
const PEPPER_BYTES = 32;
/** More than machines have cores; each takes memory and connections of its own. */
const MAX_WORKERS = 64;

/** Settings of the contract whose capability this version does not have. */
const NOT_YET = ['GATEHOUSE_METRICS_PORT', 'GATEHOUSE_TRUSTED_PROXIES', 'GATEHOUSE_CORS_ORIGINS'];
const SECRET_SETTINGS = ['GATEHOUSE_ROOT_KEY', 'GATEHOUSE_PEPPERS', 'MONGODB_URI', 'REDIS_URL'];
const KNOWN = [
  'GATEHOUSE_HOST',
  'GATEHOUSE_GRPC_PORT',
  'GATEHOUSE_HTTP_PORT',
  'GATEHOUSE_DATA',
  'GATEHOUSE_VERIFY_ACCESS',
  'GATEHOUSE_WORKERS',
  'GATEHOUSE_LOG_LEVEL',
  'GATEHOUSE_LOG_VERIFY',
  // Names of files, so none of them has a _FILE form.
  'GATEHOUSE_TLS_CERT',
  'GATEHOUSE_TLS_KEY',
  'GATEHOUSE_TLS_CLIENT_CA',
  // Read by the command line tool, which often runs in the same shell.
  'GATEHOUSE_SERVER',
  'GATEHOUSE_KEY',
  'GATEHOUSE_KEY_FILE',
  ...SECRET_SETTINGS.flatMap((name) => [name, `${name}_FILE`]),
];

/**
 * Reads and checks all settings.
 *
 * @throws BadSetting naming the setting and what it accepts; its value is never repeated.
 */
export function readSettings(env: Environment = process.env): Settings {
  refuseUnknown(env);
  return {
    host: text(env, 'GATEHOUSE_HOST') ?? '127.0.0.1',
    grpcPort: port(env, 'GATEHOUSE_GRPC_PORT', 50_051),
    httpPort: port(env, 'GATEHOUSE_HTTP_PORT', 8080),
    data: text(env, 'GATEHOUSE_DATA') ?? './data/gatehouse.db',
    mongodbUri: mongodbUri(env),
    redisUrl: redisUrl(env),
    rootKey: rootKey(env),
    peppers: peppers(env),
    verifyAccess: choice(env, 'GATEHOUSE_VERIFY_ACCESS', ['key', 'open'], 'key'),
    logLevel: choice(env, 'GATEHOUSE_LOG_LEVEL', LOG_LEVELS, 'info'),
    logVerify: choice(env, 'GATEHOUSE_LOG_VERIFY', ['refused', 'all', 'none'], 'refused'),
    tls: tls(env),
    workers: workers(env),
  };
}

// A misspelt setting would be a capability that is silently off.
function refuseUnknown(env: Environment): void {
  for (const name of Object.keys(env)) {
    if (text(env, name) === undefined) continue;
    if (isNotYet(name)) {
      throw new BadSetting(`${name} is set, but this version does not have it yet; unset it`);
    }
    if (name.startsWith('GATEHOUSE_') && !KNOWN.includes(name) && !isOfKubernetes(name, env[name])) {
      throw new BadSetting(`${name} is not a setting; known are ${KNOWN.join(', ')}`);
    }
  }
}

function isNotYet(name: string): boolean {
  return NOT_YET.includes(name.replace(/_FILE$/, '')) || name.startsWith('GATEHOUSE_SESSION_SECRET_');
}

/** What Kubernetes puts into every container beside a Service that is named `gatehouse`. */
function isOfKubernetes(name: string, value: string | undefined): boolean {
  return (
    /^GATEHOUSE_(SERVICE|PORT)_/.test(name) || (name === 'GATEHOUSE_PORT' && /^(tcp|udp):/.test(value ?? ''))
  );
}

/** An empty value is no value: that is how compose files and shells say "unset". */
function text(env: Environment, name: string): string | undefined {
  const value = env[name];
  return value === undefined || value === '' ? undefined : value;
}

function secretText(env: Environment, name: string): string | undefined {
  const file = text(env, `${name}_FILE`);
  const value = text(env, name);
  if (file === undefined) return value;
  if (value !== undefined) throw new BadSetting(`${name} and ${name}_FILE are both set; set one`);
  return readText(`${name}_FILE`, file).trim();
}

function readText(name: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw new BadSetting(`${name} must name a file that can be read`);
  }
}

function port(env: Environment, name: string, fallback: number): number {
  const value = text(env, name);
  if (value === undefined) return fallback;
  const number = Number(value);
  if (!/^\d{1,5}$/.test(value) || number > 65_535) {
    throw new BadSetting(`${name} must be a port, 0 to 65535 (0: any free one)`);
  }
  return number;
}

function choice<T extends string>(env: Environment, name: string, accepted: readonly T[], fallback: T): T {
  const value = text(env, name);
  if (value === undefined) return fallback;
  const found = accepted.find((one) => one === value);
  if (found === undefined) throw new BadSetting(`${name} must be one of ${accepted.join(', ')}`);
  return found;
}

function rootKey(env: Environment): string | undefined {
  const value = secretText(env, 'GATEHOUSE_ROOT_KEY');
  if (value !== undefined && !ROOT_KEY.test(value)) {
    throw new BadSetting(
      'GATEHOUSE_ROOT_KEY must be ghm_ and 32 to 128 of A-Z a-z 0-9 _ -; `gatehouse root-key` mints one',
    );
  }
  return value;
}

function mongodbUri(env: Environment): string | undefined {
  const value = secretText(env, 'MONGODB_URI');
  if (value !== undefined && !/^mongodb(\+srv)?:\/\/./.test(value)) {
    throw new BadSetting('MONGODB_URI must be mongodb://host:port/database or mongodb+srv://host/database');
  }
  return value;
}

function redisUrl(env: Environment): string | undefined {
  const value = secretText(env, 'REDIS_URL');
  if (value !== undefined && value !== 'none' && !isRedisUrl(value)) {
    throw new BadSetting(
      'REDIS_URL must be redis://user:password@host:port/database (a number), rediss:// for TLS, or none to share no Redis any more',
    );
  }
  return value;
}

function isRedisUrl(value: string): boolean {
  return /^rediss?:\/\/./.test(value) && URL.canParse(value) && /^(\/\d*)?$/.test(new URL(value).pathname);
}

function peppers(env: Environment): Pepper[] {
  const value = secretText(env, 'GATEHOUSE_PEPPERS');
  if (value === undefined) return [];
  const found = value.split(',').map((entry) => {
    const [, id = '', base64 = ''] = PEPPER.exec(entry.trim()) ?? [];
    const key = Buffer.from(base64, 'base64');
    if (id === '' || key.length < PEPPER_BYTES) {
      throw new BadSetting(
        'GATEHOUSE_PEPPERS must be id:base64 entries of 32 bytes or more, comma-separated, ids of A-Z a-z 0-9 . _ -',
      );
    }
    return makePepper(id, key);
  });
  if (new Set(found.map((one) => one.id)).size < found.length) {
    throw new BadSetting('GATEHOUSE_PEPPERS names an id twice');
  }
  return found;
}

function workers(env: Environment): number {
  const value = text(env, 'GATEHOUSE_WORKERS') ?? '1';
  const number = Number(value);
  if (!/^\d{1,2}$/.test(value) || number < 1 || number > MAX_WORKERS) {
    throw new BadSetting(`GATEHOUSE_WORKERS must be a number of processes, 1 to ${MAX_WORKERS}`);
  }
  if (number > 1 && mongodbUri(env) === undefined) {
    throw new BadSetting(
      'GATEHOUSE_WORKERS above 1 needs MONGODB_URI: the data file of the embedded store belongs to one process',
    );
  }
  return number;
}

function tls(env: Environment): TlsSettings | undefined {
  const cert = text(env, 'GATEHOUSE_TLS_CERT');
  const key = text(env, 'GATEHOUSE_TLS_KEY');
  const clientCa = text(env, 'GATEHOUSE_TLS_CLIENT_CA');
  if (cert === undefined && key === undefined && clientCa === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw new BadSetting('GATEHOUSE_TLS_CERT and GATEHOUSE_TLS_KEY must be set together, each a PEM file');
  }
  const files = {
    cert: readText('GATEHOUSE_TLS_CERT', cert),
    key: readText('GATEHOUSE_TLS_KEY', key),
    ...(clientCa === undefined ? {} : { clientCa: readText('GATEHOUSE_TLS_CLIENT_CA', clientCa) }),
  };
  // Node would take empty texts: for a server without certificate, or one that trusts every public authority.
  requirePem('GATEHOUSE_TLS_CERT', 'a certificate', () => new X509Certificate(files.cert));
  requirePem('GATEHOUSE_TLS_KEY', 'the private key of GATEHOUSE_TLS_CERT', () =>
    new X509Certificate(files.cert).checkPrivateKey(createPrivateKey(files.key)),
  );
  const { clientCa: ca } = files;
  if (ca !== undefined) requirePem('GATEHOUSE_TLS_CLIENT_CA', 'a certificate', () => new X509Certificate(ca));
  return files;
}

function requirePem(name: string, what: string, parse: () => unknown): void {
  try {
    if (parse() !== false) return;
  } catch {
    // As one that parses and does not fit.
  }
  throw new BadSetting(`${name} must name a PEM file with ${what}`);
}
