/** What a service has stored, as it lies there: for tests that look for what must not be in it. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { overMongo, storeLocation } from './gatehouse.ts';
import { readDatabase } from './mongodb.ts';

/** A row or document. */
export type Stored = Readonly<Record<string, unknown>>;

/** All rows of a table, or documents of a collection: both stores name them alike. The service must have stopped. */
export async function storedRows(folder: string, table: 'keys' | 'secrets'): Promise<readonly Stored[]> {
  const location = storeLocation(folder);
  if (overMongo) return (await readDatabase(location))[table] ?? [];
  const database = new DatabaseSync(location, { readOnly: true });
  try {
    return database.prepare(`SELECT * FROM ${table}`).all();
  } finally {
    database.close();
  }
}

/** Every byte that the service has written to its folder, and every document of its database. */
export async function storedText(folder: string): Promise<string> {
  const files = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'latin1'));
  const documents = overMongo ? [JSON.stringify(await readDatabase(storeLocation(folder)))] : [];
  return [...files, ...documents].join('\n');
}
