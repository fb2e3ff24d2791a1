/** The checker finds what is wrong, and nothing else. */

import { describe, expect, test } from 'vitest';
import { type Asked, type Credential, type Withdrawal, wrongWith } from './checker.ts';

const credential = (...withdrawals: Withdrawal[]): Credential => ({
  name: 'k1',
  secret: 's',
  made: 100,
  withdrawals,
});
const asked = (answer: Asked['answer'], start: number, end: number): Asked => ({
  replica: 'r1',
  start,
  end,
  answer,
  detail: 'REVOKED',
});
const revoked: Withdrawal = { what: 'RevokeKey', begun: 200, confirmed: 250 };

describe('an accepted credential', () => {
  test('is wrong where the call began at or after the OK', () => {
    const wrong = wrongWith(credential(revoked), asked('valid', 260, 270));
    expect(wrong).toBe('k1 was accepted by r1 10 ms after the OK of RevokeKey');
    expect(wrongWith(credential(revoked), asked('valid', 250, 270))).toBeDefined();
  });

  test('is right where the call began before the OK, however late its answer came', () => {
    expect(wrongWith(credential(revoked), asked('valid', 249, 9000))).toBeUndefined();
  });

  test('is right where the withdrawal was never confirmed', () => {
    const { what, begun } = revoked;
    expect(wrongWith(credential({ what, begun }), asked('valid', 300, 310))).toBeUndefined();
  });

  test('is wrong after any of several withdrawals', () => {
    const unconfirmed = { what: 'UpdateKey', begun: 150 };
    expect(wrongWith(credential(unconfirmed, revoked), asked('valid', 300, 310))).toContain('RevokeKey');
  });
});

describe('a refused credential', () => {
  test('is wrong where nobody had begun to take it away before the answer', () => {
    const wrong = wrongWith(credential(), asked('invalid', 110, 120));
    expect(wrong).toBe('k1 was refused by r1 without a reason: REVOKED');
    expect(wrongWith(credential(revoked), asked('invalid', 190, 200))).toBeDefined();
  });

  test('is right from the beginning of a withdrawal on', () => {
    expect(wrongWith(credential(revoked), asked('invalid', 190, 201))).toBeUndefined();
    expect(wrongWith(credential(revoked), asked('invalid', 300, 310))).toBeUndefined();
  });

  test('is right where it was not known to be made when the call began', () => {
    expect(wrongWith(credential(), asked('invalid', 99, 120))).toBeUndefined();
  });

  test('is wrong after a withdrawal that is known not to have been made', () => {
    const undone = { what: 'RotateKey', begun: 200, undone: 300 };
    expect(wrongWith(credential(undone), asked('invalid', 250, 260))).toBeUndefined();
    expect(wrongWith(credential(undone), asked('invalid', 300, 310))).toBeDefined();
  });
});

test('no answer is never wrong', () => {
  expect(wrongWith(credential(), asked('none', 110, 120))).toBeUndefined();
  expect(wrongWith(credential(revoked), asked('none', 300, 310))).toBeUndefined();
});
