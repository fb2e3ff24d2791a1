/** A lease ends in time by whichever clock says so first. */

import { describe, expect, test } from 'vitest';
import { LEASE_MS, LeaseTerm } from '../../src/coherence/lease.ts';

function term() {
  const time = { monotonic: 5000, wall: 1_700_000_000_000 };
  const lease = new LeaseTerm({ monotonic: () => time.monotonic, wall: () => time.wall });
  const pass = (monotonic: number, wall = monotonic) => {
    time.monotonic += monotonic;
    time.wall += wall;
  };
  return { lease, pass };
}

describe('a lease', () => {
  test('that was never granted is not held', () => {
    expect(term().lease.held).toBe(false);
    expect(term().lease.lostFor).toBe(Number.POSITIVE_INFINITY);
  });

  test('is held from its granting for less than others wait', () => {
    const { lease, pass } = term();
    lease.grant(lease.now());
    pass(0.79 * LEASE_MS);
    expect(lease.held).toBe(true);
    pass(0.02 * LEASE_MS);
    expect(lease.held).toBe(false);
    expect(lease.lostFor).toBeCloseTo(0.01 * LEASE_MS);
  });

  test('counts from the sending of the question, however late its answer came', () => {
    const { lease, pass } = term();
    const sent = lease.now();
    pass(0.9 * LEASE_MS);
    lease.grant(sent);
    expect(lease.held).toBe(false);
  });

  test.each([
    ['the machine slept, and its monotonic clock stood still', 0, LEASE_MS],
    ['the wall clock was set back', LEASE_MS, -3_600_000],
    ['the wall clock was set forward', 1, 3_600_000],
  ])('is over where %s', (_what, monotonic, wall) => {
    const { lease, pass } = term();
    lease.grant(lease.now());
    pass(monotonic, wall);
    expect(lease.held).toBe(false);
  });

  test('that was given up is not held', () => {
    const { lease } = term();
    lease.grant(lease.now());
    lease.end();
    expect(lease.held).toBe(false);
  });
});
