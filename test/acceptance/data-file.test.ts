/** The data file goes away under the running service: no change is acknowledged that the next start will not know. */

import { copyFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
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
      expect([refused.status, await readyStatus(gatehouse)]).toEqual([503, 503]);
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
      expect([(await create(gatehouse)).status, await readyStatus(gatehouse)]).toEqual([200, 200]);
    } finally {
      await gatehouse.remove();
    }
  });
});
