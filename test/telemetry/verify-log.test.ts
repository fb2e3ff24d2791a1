import { describe, expect, test } from 'vitest';
import { CallLog, type CallRecord } from '../../src/telemetry/call-log.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { VerifyLog, type VerifyLogging } from '../../src/telemetry/verify-log.ts';

function rig(mode: VerifyLogging) {
  const lines: Record<string, unknown>[] = [];
  const timers: { at: number; callback: () => void }[] = [];
  let time = 0;
  const log = createLog({ level: 'info', destination: { write: (text) => lines.push(JSON.parse(text)) } });
  const verifyLog = new VerifyLog({
    log,
    mode,
    now: () => time,
    later: (callback, ms) => timers.push({ at: time + ms, callback }),
  });
  const passTo = (until: number) => {
    time = until;
    for (const timer of timers.splice(0)) {
      if (timer.at <= time) timer.callback();
      else timers.push(timer);
    }
  };
  return { lines, verifyLog, passTo, callLog: new CallLog(log, verifyLog) };
}

const RECORD: CallRecord = {
  requestId: 'req_1',
  method: 'gatehouse.v1.AuthService/VerifyBatch',
  code: 'OK',
  reason: undefined,
  caller: 'key_caller',
  peer: '127.0.0.1',
  durationMs: 1.23456,
  keyId: undefined,
  keyspace: undefined,
  count: undefined,
  dryRun: undefined,
  judgesTokens: true,
  verdicts: [],
  errorId: undefined,
  error: undefined,
};

describe('GATEHOUSE_LOG_VERIFY', () => {
  test('refused: only tokens that were refused', () => {
    const { lines, verifyLog } = rig('refused');
    verifyLog.write({ status: 'valid' }, false);
    verifyLog.write({ status: 'revoked' }, true);
    expect(lines.map((line) => line.status)).toEqual(['revoked']);
  });

  test('refused: at most 100 lines a second, and the rest is counted in one line', () => {
    const { lines, verifyLog, passTo } = rig('refused');
    for (let count = 0; count < 250; count++) verifyLog.write({}, true);
    expect(lines).toHaveLength(100);
    passTo(1000);
    expect(lines).toHaveLength(101);
    expect(lines.at(-1)).toMatchObject({ left_out: 150 });
    for (let count = 0; count < 101; count++) verifyLog.write({}, true);
    expect(lines).toHaveLength(201);
    verifyLog.flush();
    expect(lines.at(-1)).toMatchObject({ left_out: 1 });
  });

  test('all: every token, without a bound; none: no token', () => {
    const all = rig('all');
    const none = rig('none');
    for (let count = 0; count < 300; count++) {
      all.verifyLog.write({}, count % 2 === 0);
      none.verifyLog.write({}, true);
    }
    expect([all.lines.length, none.lines.length]).toEqual([300, 0]);
  });

  test('each item of a batch counts for itself', () => {
    const { lines, callLog } = rig('refused');
    const verdicts = [
      { status: 'valid', keyspace: 'acme', keyId: 'key_1' },
      { status: 'expired', keyspace: 'acme', keyId: 'key_2' },
      { status: 'error', reason: 'INVALID_FIELD' },
    ];
    callLog.write({ ...RECORD, verdicts });
    expect(lines).toMatchObject([
      { request_id: 'req_1', keyspace: 'acme', key_id: 'key_2', status: 'expired' },
      { request_id: 'req_1', status: 'error', reason: 'INVALID_FIELD' },
    ]);
  });

  test('an INTERNAL error is logged whatever the mode, of a call or of an item', () => {
    const { lines, callLog } = rig('none');
    callLog.write({
      ...RECORD,
      code: 'INTERNAL',
      reason: 'INTERNAL',
      errorId: 'err_1',
      error: new Error('why'),
    });
    callLog.write({
      ...RECORD,
      verdicts: [{ status: 'error', errorId: 'err_2', cause: new Error('too') }],
    });
    expect(lines).toMatchObject([
      { error_id: 'err_1', err: { message: 'why' } },
      { error_id: 'err_2', err: { message: 'too' } },
    ]);
  });
});
