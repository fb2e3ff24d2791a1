/** What holds for a VerifyStream, and for calls that are given up by the hundred, whatever the client's language. */

import { expect, test } from 'vitest';
import type { Gatehouse } from '../support/gatehouse.ts';

/** What waiting for the service may take, in milliseconds. */
const SOON = { timeout: 10_000 };
/** In flight, on the wire and in buffers. */
const MOST_UNREAD = 3000;

const BAD_ID = { code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELD', domain: 'gatehouse', fields: ['id'] };
const bad = (field: string) => ({ ...BAD_ID, fields: [field] });

/**
 * @param play has the client play a scenario and tells what came.
 * @param service that it plays with.
 */
export function declareStreams(play: (scenario: string) => Promise<unknown>, service: () => Gatehouse): void {
  const inFlight = async () => {
    const page = await (await fetch(`${service().http}/metrics`)).text();
    return Number(/^gatehouse_rpc_in_flight (.*)$/m.exec(page)?.[1]);
  };
  const nothingLeft = () => expect.poll(inFlight, SOON).toBe(0);
  /** The codes of the streams in the log. */
  const ends = () =>
    [
      ...service()
        .output()
        .stdout.matchAll(/AuthService\/VerifyStream".*?"code":"(\w+)"/g),
    ].map(([, code]) => code);

  test('hundreds of questions on a stream, good and malformed, are each answered by their id', async () => {
    const kinds = [
      'VERIFY_STATUS_VALID',
      'VERIFY_STATUS_INSUFFICIENT_PERMISSIONS',
      'VERIFY_STATUS_MALFORMED',
      bad('request.permissions[0]'),
      bad('request.token'),
      bad('request'),
    ];
    const answered = Array.from({ length: 600 }, (_, index) => [String(index), kinds[index % kinds.length]]);
    expect(await play('stream')).toEqual({
      answers: 603,
      results: Object.fromEntries([...answered, ...['', 'i'.repeat(65), 'a\nb'].map((id) => [id, BAD_ID])]),
      end: 'OK',
    });
    await nothingLeft();
  });

  test('a stream takes compressed questions and much metadata, and no more of it than there may be', async () => {
    const { tooLarge, ...rest } = (await play('stream packed')) as { tooLarge: string };
    expect(rest).toEqual({ valid: 20, end: 'OK', none: 0 });
    expect(tooLarge).not.toBe('OK');
    await nothingLeft();
  });

  test('a stream whose client sends on and reads nothing is read no further, and loses no answer', async () => {
    const { unread, ...rest } = (await play('stream unread')) as { unread: number };
    expect(rest).toEqual({ answers: 4000, ids: 4000, end: 'OK' });
    expect(unread).toBeLessThan(MOST_UNREAD);
    await nothingLeft();
  });

  test('a stream that its client cancels in the middle ends as CANCELLED and leaves nothing behind', async () => {
    const before = ends().length;
    expect(await play('stream cancelled')).toEqual({ end: 'CANCELLED', afterwards: true });
    await expect.poll(() => ends().slice(before), SOON).toEqual(['CANCELLED']);
    await nothingLeft();
  });

  test('a stream ends with DEADLINE_EXCEEDED when its time is over, in the service as well', async () => {
    const before = ends().length;
    expect(await play('stream late')).toEqual({ end: 'DEADLINE_EXCEEDED' });
    // Whoever's clock was first: the service's own, or the client's, who then goes away.
    const either = expect.stringMatching(/^(DEADLINE_EXCEEDED|CANCELLED)$/);
    await expect.poll(() => ends().slice(before), SOON).toEqual([either]);
    await nothingLeft();
  });

  test('a stream ends with its reason where the caller is revoked, and answers nothing that came after', async () => {
    const end = {
      code: 'UNAUTHENTICATED',
      reason: 'CREDENTIALS_INVALID',
      domain: 'gatehouse',
      fields: [],
    };
    expect(await play('stream revoked')).toEqual({ answers: 0, end });
    await nothingLeft();
  });

  test('hundreds of calls that are given up in flight harm no other call on their connection', async () => {
    const { ended, afterwards } = (await play('reset')) as {
      ended: Record<string, number>;
      afterwards: boolean;
    };
    const { CANCELLED = 0, OK = 0, ...others } = ended;
    expect(others).toEqual({});
    expect(CANCELLED).toBeGreaterThan(0);
    expect(CANCELLED + OK).toBe(300);
    expect(afterwards).toBe(true);
    await nothingLeft();
  });
}
