/** Adds keys until it is killed; says the id and lookup of each on a line once it was acknowledged. */

import { writeSync } from 'node:fs';
import { openSqliteStore } from '../../../src/storage/sqlite/open.ts';
import { sampleKey, sampleSecret } from '../../conformance/samples.ts';

const [path = ''] = process.argv.slice(2);
const store = await openSqliteStore(path);
for (;;) {
  const key = sampleKey({ id: `key_${process.pid}_${performance.now()}` });
  const secret = sampleSecret(key, { lookup: `lookup of ${key.id}` });
  if (await store.insertKey(key, secret)) writeSync(1, `${key.id}\n`);
}
