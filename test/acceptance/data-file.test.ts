/** The embedded store's file: who may read it, what is refused, and what if it goes away under the running service. */

import { copyFileSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { failingStart } from '../support/failing-start.ts';
import { callJson, type Gatehouse, startGatehouse } from '../support/gatehouse.ts';

const file = ({ folder }: Gatehouse) => join(folder, 'gatehouse.db');

async function readyStatus({ http }: Gatehouse): Promise<number> {
  const ready = await fetch(`${http}/readyz`);
  await ready.arrayBuffer();
  return ready.status;
}

function create(gatehouse: Gatehouse) {
  return callJson(
    gatehouse,
    'KeyService/CreateKey',
    { keyspace: 'default', name: 'x' },
    { key: gatehouse.rootKey },
  );
}

describe('a service whose data file', () => {
  test.each<[string, string, (gatehouse: Gatehouse) => void]>([
    [
      'was deleted',
      'was deleted while it was open',
      (gatehouse) => {
        rmSync(file(gatehouse));
        rmSync(`${file(gatehouse)}-wal`, { force: true });
      },
    ],
    [
      'was replaced, as by a restored backup,',
      'was replaced while it was open',
      (gatehouse) => {
        copyFileSync(file(gatehouse), `${file(gatehouse)}.backup`);
        renameSync(`${file(gatehouse)}.backup`, file(gatehouse));
      },
    ],
  ])('%s acknowledges no change, is not ready, and goes on reading', async (_what, reason, take) => {
    const gatehouse = await startGatehouse();
    try {
      const { body } = await create(gatehouse);
      expect(await readyStatus(gatehouse)).toBe(200);
      take(gatehouse);
      const refused = await create(gatehouse);
      expect(refused.status).toBe(503);
      // An answer of the readiness check holds for a second.
      await expect.poll(() => readyStatus(gatehouse), { timeout: 5000 }).toBe(503);
      // Where the file is, is for the log alone.
      expect(JSON.stringify(refused.body)).not.toContain(gatehouse.folder);
      // What was printed comes through a pipe of its own.
      await expect.poll(() => gatehouse.output().stdout).toContain(reason);

      const key = gatehouse.rootKey;
      const verified = await callJson(gatehouse, 'AuthService/Verify', { token: body.secret }, { key });
      expect(verified.body.valid).toBe(true);
      const listed = await callJson(gatehouse, 'KeyService/ListKeys', { keyspace: 'default' }, { key });
      expect(listed.body.keys).toHaveLength(1);
    } finally {
      await gatehouse.remove();
    }
  });

  test('came back takes changes again', async () => {
    const gatehouse = await startGatehouse();
    try {
      renameSync(file(gatehouse), `${file(gatehouse)}.away`);
      expect((await create(gatehouse)).status).toBe(503);
      renameSync(`${file(gatehouse)}.away`, file(gatehouse));
      expect((await create(gatehouse)).status).toBe(200);
      await expect.poll(() => readyStatus(gatehouse), { timeout: 5000 }).toBe(200);
    } finally {
      await gatehouse.remove();
    }
  });
});

describe('a data file', () => {
  test('is readable by its owner only, and a second process on it says so and stops; the first goes on', async () => {
    const first = await startGatehouse();
    try {
      expect(statSync(file(first)).mode & 0o777).toBe(0o600);
      const { code, lines } = failingStart({ GATEHOUSE_DATA: file(first) });
      expect([code, lines.length]).toEqual([1, 1]);
      expect(lines[0]).toContain('in use by another Gatehouse process');
      expect((await create(first)).status).toBe(200);
    } finally {
      await first.remove();
    }
  });

  test('below a file cannot be: one line, exit 1', () => {
    const { code, lines } = failingStart({ GATEHOUSE_DATA: '/dev/null/gatehouse.db' });
    expect([code, lines.length]).toEqual([1, 1]);
    expect(lines[0]).toContain('/dev/null/gatehouse.db');
  });

  test('a file that is no data file: one line, exit 1, and the file is left as it was', () => {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-test-'));
    const file = join(folder, 'notes.txt');
    writeFileSync(file, 'not a database '.repeat(1000));
    const { code, lines } = failingStart({ GATEHOUSE_DATA: file });
    expect(code).toBe(1);
    expect(lines).toHaveLength(1);
    expect(statSync(file).size).toBe(15_000);
    rmSync(folder, { recursive: true });
  });
});
