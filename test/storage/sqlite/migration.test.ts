import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { SCHEMA_VERSION } from '../../../src/storage/sqlite/schema.ts';
import { type All, allOf, fill, sorted } from '../../conformance/moved-samples.ts';
import { dataFile, openForTest } from './data-file.ts';

/** Entry n takes a file from version n + 2 back to n + 1. */
const BACK = [
  'DROP TABLE copy_note',
  `DROP TABLE requests;
    DROP INDEX keys_by_parent;
    ALTER TABLE keys DROP COLUMN parent_key_id`,
  `DROP TABLE owners;
    ALTER TABLE keyspaces DROP COLUMN unmarked`,
];

/** What a file of this version could hold of it all. */
function heldBy(version: number, all: All): All {
  return sorted({
    ...all,
    keyspace: version < 4 ? all.keyspace.map(({ unmarked: _, ...one }) => one) : all.keyspace,
    owner: version < 4 ? [] : all.owner,
    request: version < 3 ? [] : all.request,
  });
}

describe('a data file of an older version', () => {
  test('is known here for each that there was', () => {
    expect(BACK).toHaveLength(SCHEMA_VERSION - 1);
  });

  test.each(BACK.map((_, index) => index + 1))(
    'of %i becomes a current one, with all in it',
    async (version) => {
      const path = await dataFile();
      const store = await openForTest(path);
      const all = heldBy(version, await fill(store));
      await store.close();
      const database = new DatabaseSync(path);
      for (const back of BACK.slice(version - 1).reverse()) database.exec(back);
      database.exec(`PRAGMA user_version = ${version}`);
      database.close();

      const again = await openForTest(path);
      expect(await allOf(again)).toEqual(all);
      for (const child of all.key.filter(({ parentKeyId }) => parentKeyId !== undefined)) {
        expect(await again.listChildren(child.parentKeyId ?? '', undefined, 9)).toEqual([child]);
      }
      expect(await again.readCopyNote()).toBeUndefined();
      await again.writeCopyNote('a note', undefined);
      expect(await again.readCopyNote()).toBe('a note');
      await again.close();
      const migrated = new DatabaseSync(path, { readOnly: true });
      expect(migrated.prepare('PRAGMA user_version').get()).toEqual({ user_version: SCHEMA_VERSION });
      migrated.close();
    },
  );
});
