/** The port of gRPC against h2spec, the tests of HTTP/2 by its sections. */

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { VERIFY } from '../support/besieged.ts';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';

const h2spec = process.env.GATEHOUSE_TEST_H2SPEC ?? '';
/** Of 145 in v2.2.1. */
const CASES = 145;

const LATE_FRAMES =
  'nghttp2 ignores frames of a stream that is closed, as a peer may have sent them before it knew';
const PRIORITY =
  'nghttp2 has no priorities by dependency any more (RFC 9113 does away with them) and ignores the frame';
const ENDS_ALL = 'Node ends the connection, which is more than is asked';
/** What a bare server of node:http2 fails as well, and why. */
const FAILURES_OF_NODE: Readonly<Record<string, string>> = {
  'http2/5.1 closed: Sends a DATA frame after sending RST_STREAM frame': LATE_FRAMES,
  'http2/5.1 closed: Sends a HEADERS frame after sending RST_STREAM frame': LATE_FRAMES,
  'http2/5.1 closed: Sends a DATA frame': LATE_FRAMES,
  'http2/5.1 closed: Sends a HEADERS frame': LATE_FRAMES,
  // Whether it comes before or after the answer is up to the clock.
  'http2/5.1 half closed (remote): Sends a HEADERS frame': LATE_FRAMES,
  'http2/5.1.1 Sends stream identifier that is numerically smaller than previous': LATE_FRAMES,
  'http2/5.3.1 Sends PRIORITY frame that depend on itself': PRIORITY,
  'http2/6.3 Sends a PRIORITY frame with 0x0 stream identifier': PRIORITY,
  'http2/6.7 Sends a PING frame with ACK': ENDS_ALL,
  'http2/6.9.1 Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream':
    ENDS_ALL,
};

describe.skipIf(h2spec === '')('h2spec', () => {
  let gatehouse: Gatehouse;
  beforeAll(async () => {
    gatehouse = await startGatehouse();
  });
  afterAll(() => gatehouse?.remove());

  /** @returns the names of the cases that failed, and how many there were. */
  async function run(seconds: number, sections: readonly string[] = []) {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-h2spec-'));
    const report = join(folder, 'report.xml');
    const { hostname, port } = new URL(`http://${gatehouse.grpc}`);
    const options = ['-h', hostname, '-p', port, '-P', VERIFY, '-o', String(seconds), '-j', report];
    // It ends with 1 where a case failed.
    await new Promise<void>((resolve) => {
      execFile(h2spec, [...sections, ...options], { maxBuffer: 64 * 1024 * 1024 }, () => resolve());
    });
    const text = readFileSync(report, 'utf8');
    rmSync(folder, { recursive: true, force: true });
    const cases = [
      ...text.matchAll(/<testcase package="(.*?)" classname="(.*?)" time=".*?">(<|\s*<(?:error|failure))?/g),
    ];
    const failed = cases
      .filter(([, , , rest]) => rest !== undefined && rest !== '<')
      .map(([, section, title]) => `${section} ${title?.replaceAll('&#34;', '"')}`);
    return { failed, count: cases.length };
  }

  test("fails nothing but what is node's own, and the service lives on", async () => {
    const { failed, count } = await run(1);
    expect(count).toBe(CASES);
    let unknown = failed.filter((name) => FAILURES_OF_NODE[name] === undefined);
    // On a busy machine a second may be too short.
    if (unknown.length > 0) {
      const again = await run(5, [...new Set(unknown.map((name) => name.split(' ')[0] ?? ''))]);
      unknown = unknown.filter((name) => again.failed.includes(name));
    }
    expect(unknown).toEqual([]);
    // Otherwise the report was not understood.
    expect(failed.length).toBeGreaterThan(0);
    const answer = await callJson(
      gatehouse,
      'AuthService/Verify',
      { token: 'x' },
      { key: gatehouse.rootKey },
    );
    expect(answer.status).toBe(200);
  }, 120_000);
});
