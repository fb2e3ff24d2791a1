/** The log: one JSON object a line. What callers send is logged only as named, safe fields, and JSON escapes it. */

import { type DestinationStream, type LogFn, type Logger, pino } from 'pino';

export type Log = Logger;
export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';

// No code logs these; the paths are the net under it.
const SECRET_FIELDS = ['authorization', 'x-api-key', 'secret', 'token', 'rootKey', 'password'];
const REDACTED_PATHS = SECRET_FIELDS.flatMap((field) => [`["${field}"]`, `*["${field}"]`, `*.*["${field}"]`]);

// A run like this in an error's text may be a key or a JWT that a library quoted. Paths and words pass.
const LIKE_A_SECRET = /(?=[A-Za-z_.-]*\d)[A-Za-z0-9_.-]{24,}/g;

/** Takes out of a text whatever may be a key or a session token. */
export function withoutSecrets(text: string): string {
  return text.replace(LIKE_A_SECRET, '[redacted]');
}

interface DescribedError {
  readonly type: string;
  readonly message: string;
  readonly stack: string;
  readonly code?: string;
  readonly cause?: DescribedError;
}

const MAX_CAUSES = 4;

/** An error for the log: for people who run the service, never for callers. */
function describeError(error: unknown, depth = 0): DescribedError {
  if (!(error instanceof Error)) return { type: typeof error, message: 'not an Error', stack: '' };
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  const cause =
    error.cause === undefined || depth >= MAX_CAUSES ? {} : { cause: describeError(error.cause, depth + 1) };
  return {
    type: error.name,
    message: withoutSecrets(error.message),
    stack: withoutSecrets(error.stack ?? ''),
    ...code,
    ...cause,
  };
}

// Where there is no message, pino would take the error's own, past the serializer.
function withMessage(this: Logger, args: Parameters<LogFn>, write: LogFn): void {
  const [first, ...rest] = args as [unknown, ...unknown[]];
  write.apply(
    this,
    (rest.length === 0 && typeof first === 'object' ? [first, 'event'] : args) as Parameters<LogFn>,
  );
}

/** Builds the log. `destination` is stdout where it is left out. */
export function createLog(options: {
  readonly level: LogLevel;
  /** In each line, where several processes write to one log. */
  readonly worker?: number;
  readonly destination?: DestinationStream;
}): Log {
  const settings = {
    level: options.level,
    base: options.worker === undefined ? null : { worker: options.worker },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: describeError },
    hooks: { logMethod: withMessage },
    redact: REDACTED_PATHS,
  };
  return options.destination === undefined ? pino(settings) : pino(settings, options.destination);
}
