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
  /** INTERNAL only: the id that the caller was given. */
  readonly errorId?: string | undefined;
  /** With `error`: what really happened, where that is known. */
  readonly cause?: unknown;
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
  /** It only showed what it would do. */
  readonly dryRun: true | undefined;
  /** It asked about tokens, so GATEHOUSE_LOG_VERIFY says which lines it gets. */
  readonly judgesTokens: boolean;
  readonly verdicts: readonly Verdict[];
  /** INTERNAL only: the id that the caller was given. */
  readonly errorId: string | undefined;
  /** What really happened, such as the store's own error; undefined where the code and the reason say it all. */
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

  /** Whether a judged token gets a line: else there is no need to tell what would be in it. */
  wantsVerdict(refused: boolean): boolean {
    return this.#verifyLog.wants(refused);
  }

  write(record: CallRecord): void {
    const fields = fieldsOf(record);
    if (record.errorId !== undefined) this.#writeInternal(fields, record.errorId);
    else if (!record.judgesTokens) this.#log[levelOf(record.code)](fields, 'call');
    else if (record.code !== 'OK') this.#verifyLog.write(fields, true);
    else for (const verdict of record.verdicts) this.#writeVerdict(fields, verdict);
  }

  // Whatever the settings say: a caller was given this id to ask about.
  #writeInternal(fields: object, errorId: string): void {
    this.#log.error({ ...fields, error_id: errorId }, 'call failed');
  }

  /** The line of one token of a call that goes on. */
  writeVerdict(record: CallRecord, verdict: Verdict): void {
    this.#writeVerdict(fieldsOf(record), verdict);
  }

  #writeVerdict(fields: object, { keyspace, status, keyId, reason, errorId, cause }: Verdict): void {
    const line = { ...fields, keyspace, key_id: keyId, status, reason, err: cause };
    if (errorId !== undefined) this.#writeInternal(line, errorId);
    else this.#verifyLog.write(line, status !== 'valid');
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
    dry_run: record.dryRun,
    err: record.error,
  };
}

function levelOf(code: string): 'info' | 'warn' {
  return code === 'UNAVAILABLE' || code === 'DEADLINE_EXCEEDED' ? 'warn' : 'info';
}
