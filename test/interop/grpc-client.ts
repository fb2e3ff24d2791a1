/**
 * What holds for a gRPC client in any language. Each language has a program that plays these scenarios with its own
 * gRPC library and code generated from /proto, and prints what came as JSON in one form.
 */

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Gatehouse } from '../support/gatehouse.ts';
import { type Program, run } from './program.ts';
import { startService } from './service.ts';
import { declareStreams } from './stream-scenarios.ts';

/** More than any of them needs; a cold build of Go's gRPC takes a minute on two cores. */
const BUILD_MS = 600_000;

/**
 * Declares the tests.
 *
 * @param build makes the program, in a temporary folder.
 */
export function describeClient(build: () => Promise<Program>): void {
  let gatehouse: Gatehouse;
  let client: Program;

  beforeAll(async () => {
    client = await build();
    gatehouse = await startService();
  }, BUILD_MS);
  afterAll(async () => {
    client?.remove();
    await gatehouse?.remove();
  });

  const play = async (scenario: string) =>
    JSON.parse(await run(client, scenario, gatehouse.grpc, gatehouse.rootKey));
  const error = (code: string, reason: string, fields: string[] = []) => ({
    code,
    reason,
    domain: 'gatehouse',
    fields,
  });
  /** What the log's new lines about Watch are to say. */
  const endOfWatch = (before: number) => expect.poll(() => watches().slice(before), { timeout: 10_000 });
  const watches = () =>
    [...gatehouse.output().stdout.matchAll(/Health\/Watch".*?"code":"(\w+)"/g)].map(([, code]) => code);

  test('a key is made, verified and revoked, and dead from then on', async () => {
    const { made, ...rest } = await play('life');
    expect(made).toEqual({
      id: expect.stringMatching(/^key_/),
      name: 'größe ✓',
      secret: expect.stringMatching(/^gate_/),
      seconds: 3600,
    });
    expect(rest).toEqual({
      good: {
        valid: true,
        status: 'VERIFY_STATUS_VALID',
        keyId: made.id,
        owner: 'user:alice',
        permissions: ['docs:*'],
        metadata: { plan: 'free' },
      },
      lacking: ['VERIFY_STATUS_INSUFFICIENT_PERMISSIONS', 'mail:read'],
      noProject: 'VERIFY_STATUS_WRONG_PROJECT',
      compressed: 'VERIFY_STATUS_VALID',
      revoked: ['KEY_STATE_REVOKED', 'no longer used'],
      after: { valid: false, status: 'VERIFY_STATUS_REVOKED' },
    });
  });

  test('lists are read page by page, newest first', async () => {
    const { made, pages, totals } = await play('pages');
    const [first, second, third] = made;
    expect(pages).toEqual([[third, second], [first]]);
    expect(totals).toEqual([3, 3]);
  });

  test('a page of large keys fits what a client takes in one message', async () => {
    const { made, pages } = await play('large page');
    expect(pages.length).toBeGreaterThan(1);
    expect(pages.flat()).toEqual(made.toReversed());
  });

  test('errors carry reason and field paths in details that the library decodes', async () => {
    expect(await play('refusals')).toEqual({
      invalid: error('INVALID_ARGUMENT', 'INVALID_FIELD', ['name', 'permissions[1]']),
      unknownKeyspace: error('NOT_FOUND', 'NOT_FOUND'),
      noKey: error('UNAUTHENTICATED', 'CREDENTIALS_MISSING'),
      wrongKey: error('UNAUTHENTICATED', 'CREDENTIALS_INVALID'),
    });
  });

  test('a message above the bound is RESOURCE_EXHAUSTED, compressed or not', async () => {
    const tooLarge = error('RESOURCE_EXHAUSTED', 'MESSAGE_TOO_LARGE');
    expect(await play('too large')).toEqual({
      verify: tooLarge,
      unpacked: tooLarge,
      batch: tooLarge,
      largestTokens: 'OK',
    });
  });

  test('work that is shed is RESOURCE_EXHAUSTED and says when to try again', async () => {
    const outcomes: { code: string }[] = await play('busy');
    const shed = outcomes.filter(({ code }) => code !== 'OK');
    expect(shed.length).toBeGreaterThan(0);
    expect(shed.length).toBeLessThan(outcomes.length);
    for (const one of shed) {
      expect(one).toEqual({
        ...error('RESOURCE_EXHAUSTED', 'HASHING_BUSY'),
        retryMs: expect.any(Number),
      });
    }
  });

  test('a batch of 100 is answered in its order, and one of 101 refused', async () => {
    const { results, oneMore } = await play('batch');
    const cycle = [
      'VERIFY_STATUS_VALID',
      'VERIFY_STATUS_MALFORMED',
      'VERIFY_STATUS_MISSING',
      error('INVALID_ARGUMENT', 'INVALID_FIELD', ['permissions[0]']),
    ];
    expect(results).toEqual(Array.from({ length: 25 }, () => cycle).flat());
    expect(oneMore).toEqual(error('INVALID_ARGUMENT', 'INVALID_FIELD', ['requests']));
  });

  test('500 calls at once over one connection are all answered', async () => {
    expect(await play('parallel')).toEqual({ valid: 500 });
  });

  test('a call ends with DEADLINE_EXCEEDED when its time is over, in the service as well', async () => {
    const before = watches().length;
    expect(await play('deadline')).toEqual({
      unary: 'DEADLINE_EXCEEDED',
      first: 'SERVING',
      end: 'DEADLINE_EXCEEDED',
    });
    // Whoever's clock was first: the service's own, or the client's, who then goes away.
    await endOfWatch(before).toEqual([expect.stringMatching(/^(DEADLINE_EXCEEDED|CANCELLED)$/)]);
  });

  test('a call that its client cancels ends as CANCELLED, and the service lives on', async () => {
    const before = watches().length;
    expect(await play('cancel')).toEqual({
      unary: 'CANCELLED',
      first: 'SERVING',
      end: 'CANCELLED',
      afterwards: 'SERVING',
    });
    await endOfWatch(before).toEqual(['CANCELLED']);
  });

  test('a Verify may be cancelled, run out of time, carry much metadata and be one of thousands', async () => {
    const { tooLarge, ...rest } = await play('edges');
    expect(rest).toEqual({
      // Whatever was cancelled, or came too late, on a connection that others use.
      cancelled: ['CANCELLED'],
      late: ['DEADLINE_EXCEEDED'],
      // Under 16 KB of headers, which the service takes; the client is told of that bound.
      large: 'OK',
      compressed: 'OK',
      // Four times as many as may be open at once, beside a stream that stays open.
      valid: 2048,
      watching: 'SERVING',
    });
    expect(tooLarge).not.toBe('OK');
  });

  test('the standard health check knows the service and each of its parts', async () => {
    expect(await play('health')).toEqual({ whole: 'SERVING', keys: 'SERVING', unknown: 'NOT_FOUND' });
  });

  declareStreams(play, () => gatehouse);
}
