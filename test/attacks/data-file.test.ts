/** The data file is deleted under the running service: no change is acknowledged that the next start will not know. */

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { callJson, startGatehouse } from '../support/gatehouse.ts';

test('a service whose data file is gone acknowledges no change, and is not ready', async () => {
  const gatehouse = await startGatehouse();
  try {
    for (const name of ['gatehouse.db', 'gatehouse.db-wal']) {
      rmSync(join(gatehouse.folder, name), { force: true });
    }
    const options = { key: gatehouse.rootKey };
    const made = await callJson(
      gatehouse,
      'KeyService/CreateKey',
      { keyspace: 'default', name: 'x' },
      options,
    );
    const ready = await fetch(`${gatehouse.http}/readyz`);
    await ready.arrayBuffer();
    expect([made.status, ready.status]).toEqual([503, 503]);
  } finally {
    await gatehouse.remove();
  }
});
