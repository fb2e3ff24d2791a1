/** The one line that each call leaves. */

import type { Log } from './log.ts';
import type { VerifyLog } from './verify-log.ts';

/** What became of one token that a Verify or VerifyBatch asked about. */
export interface Verdict {
  readonly keyspace?: string | undefined;
  /** A VerifyStatus of the domain, such as `revoked`; `error` where there was no answer. */
  readonly status: string;
  readonly keyId?: string | undefined;
  /** With `error`: the reason that the caller was given. */
  readonly reason?: string | undefined;
  /** INTERNAL only: the id that the caller was given, and what really happened. */
  readonly errorId?: string | undefined;
  readonly unexpected?: unknown;
}

/** One finished call, in fields that are safe to log. */
export interface CallRecord {
  readonly requestId: string;
  /** `gatehouse.v1.KeyService/CreateKey`, or `unknown`. */
  readonly method: string;
  /** gRPC's name of the code. */
  readonly code: string;
  /** Reason of the error; undefined with OK. */
  readonly reason: string | undefined;
  /** Id of the calling key. */
  readonly caller: string | undefined;
  /** Address of the TCP peer. */
  readonly peer: string | undefined;
  readonly durationMs: number;
  readonly keyId: string | undefined;
  readonly keyspace: string | undefined;
  /** How many things a call over several was about. */
  readonly count: number | undefined;
  /** It asked about tokens, so GATEHOUSE_LOG_VERIFY says which lines it gets. */
  readonly judgesTokens: boolean;
  readonly verdicts: readonly Verdict[];
  /** INTERNAL only: what the caller was told, and what really happened. */
  readonly errorId: string | undefined;
  readonly error: unknown;
}

/** Writes the lines of calls. */
export class CallLog {
  readonly #log: Log;
  readonly #verifyLog: VerifyLog;

  constructor(log: Log, verifyLog: VerifyLog) {
    this.#log = log;
    this.#verifyLog = verifyLog;
  }

  write(record: CallRecord): void {
    const fields = fieldsOf(record);
    if (record.errorId !== undefined) {
      this.#writeUnexpected(fields, record.errorId, record.error);
    } else if (record.judgesTokens) {
      this.#writeVerdicts(fields, record);
    } else {
      this.#log[levelOf(record.code)](fields, 'call');
    }
  }

  // Whatever the settings say: a caller was given this id to ask about.
  #writeUnexpected(fields: object, errorId: string, error: unknown): void {
    this.#log.error({ ...fields, error_id: errorId, err: error }, 'call failed');
  }

  #writeVerdicts(fields: object, record: CallRecord): void {
    if (record.code !== 'OK') return this.#verifyLog.write(fields, true);
    for (const { keyspace, status, keyId, reason, errorId, unexpected } of record.verdicts) {
      const line = { ...fields, keyspace, key_id: keyId, status, reason };
      if (errorId !== undefined) this.#writeUnexpected(line, errorId, unexpected);
      else this.#verifyLog.write(line, status !== 'valid');
    }
  }
}

// Undefined fields are left out by JSON.
function fieldsOf(record: CallRecord): object {
  return {
    request_id: record.requestId,
    method: record.method,
    code: record.code,
    reason: record.reason,
    caller: record.caller,
    peer: record.peer,
    duration_ms: Math.round(record.durationMs * 1000) / 1000,
    key_id: record.keyId,
    keyspace: record.keyspace,
    count: record.count,
  };
}

function levelOf(code: string): 'info' | 'warn' {
  return code === 'UNAVAILABLE' || code === 'DEADLINE_EXCEEDED' ? 'warn' : 'info';
}
