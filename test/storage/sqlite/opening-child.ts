/** Opens the data file and says the name of the error that it met, or `opened`. */

import { openSqliteStore } from '../../../src/storage/sqlite/open.ts';

const [path = ''] = process.argv.slice(2);
try {
  await (await openSqliteStore(path)).close();
  console.log('opened');
} catch (error) {
  console.log(error instanceof Error ? error.name : 'unknown');
}
