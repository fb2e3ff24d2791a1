import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { SCHEMA_VERSION } from '../../../src/storage/sqlite/schema.ts';
import { allOf, fill } from '../../conformance/moved-samples.ts';
import { dataFile, openForTest } from './data-file.ts';

describe('a data file of an older version', () => {
  test('becomes a current one, with all that is in it', async () => {
    const path = await dataFile();
    const store = await openForTest(path);
    const all = await fill(store);
    await store.close();
    const database = new DatabaseSync(path);
    database.exec('DROP TABLE copy_note; PRAGMA user_version = 1;');
    database.close();

    const again = await openForTest(path);
    expect(await allOf(again)).toEqual(all);
    expect(await again.readCopyNote()).toBeUndefined();
    await again.writeCopyNote('a note');
    expect(await again.readCopyNote()).toBe('a note');
    await again.close();
    const migrated = new DatabaseSync(path, { readOnly: true });
    expect(migrated.prepare('PRAGMA user_version').get()).toEqual({ user_version: SCHEMA_VERSION });
    migrated.close();
  });
});
