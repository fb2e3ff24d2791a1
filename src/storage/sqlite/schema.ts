/**
 * Tables and indexes of the data file, and how an older file becomes a current one.
 *
 * A record is kept whole, as JSON, beside the columns that it is found by. Events that are not published are a
 * column of their own, so that taking them off leaves the record alone.
 */

import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { StoreUnusable } from '../unusable.ts';

/** `GATE`: tells `file` and us that this is a data file of Gatehouse. */
export const APPLICATION_ID = 0x47415445;

// How every listing index ends: in the order of listings, so that no page needs sorting, and with what a state is
// judged by, so that counting, and skipping keys of other states, reads the index alone.
const ORDER_AND_STATE = 'create_time DESC, id DESC, revoke_time, disabled, expire_time';

const FIRST_VERSION = `
CREATE TABLE registry (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  revision INTEGER NOT NULL,
  record TEXT NOT NULL
) STRICT;

CREATE TABLE keyspaces (
  id TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  update_time INTEGER NOT NULL,
  record TEXT NOT NULL,
  pending TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX keyspaces_unpublished ON keyspaces (update_time, id) WHERE pending IS NOT NULL;

CREATE TABLE keys (
  id TEXT NOT NULL,
  revision INTEGER NOT NULL,
  keyspace TEXT NOT NULL,
  create_time INTEGER NOT NULL,
  update_time INTEGER NOT NULL,
  owner_kind TEXT,
  owner_id TEXT,
  project TEXT,
  display_prefix TEXT NOT NULL,
  generation TEXT NOT NULL,
  disabled INTEGER NOT NULL,
  expire_time INTEGER,
  revoke_time INTEGER,
  folded_name TEXT NOT NULL,
  record TEXT NOT NULL,
  pending TEXT
) STRICT;
CREATE UNIQUE INDEX keys_by_id ON keys (id);
CREATE INDEX keys_by_time ON keys (${ORDER_AND_STATE});
CREATE INDEX keys_by_keyspace ON keys (keyspace, ${ORDER_AND_STATE});
CREATE INDEX keys_by_project ON keys (keyspace, project, ${ORDER_AND_STATE});
CREATE INDEX keys_by_display_prefix ON keys (display_prefix, ${ORDER_AND_STATE});
CREATE INDEX keys_by_owner ON keys (owner_kind, owner_id, ${ORDER_AND_STATE}) WHERE owner_kind IS NOT NULL;
CREATE INDEX keys_by_keyspace_owner
  ON keys (keyspace, owner_kind, owner_id, ${ORDER_AND_STATE}) WHERE owner_kind IS NOT NULL;
CREATE INDEX keys_unpublished ON keys (update_time, id) WHERE pending IS NOT NULL;

CREATE TABLE secrets (
  keyspace TEXT NOT NULL,
  lookup TEXT NOT NULL,
  key_id TEXT NOT NULL,
  generation TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  pepper_id TEXT,
  hash TEXT,
  PRIMARY KEY (keyspace, lookup)
) STRICT, WITHOUT ROWID;
CREATE INDEX secrets_by_pepper ON secrets (pepper_id, key_id, generation) WHERE pepper_id IS NOT NULL;

CREATE TABLE usage (
  key_id TEXT PRIMARY KEY,
  count INTEGER NOT NULL,
  last_used_time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  id TEXT NOT NULL,
  record_kind TEXT NOT NULL,
  record_id TEXT NOT NULL,
  revision INTEGER NOT NULL,
  event TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_by_id ON events (id);
CREATE INDEX events_by_record ON events (record_kind, record_id, revision);

CREATE TABLE probe (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  writes INTEGER NOT NULL
) STRICT;
INSERT INTO probe (id, writes) VALUES (1, 0);
`;

// How far the copy has come that is under way into this file.
const COPY_NOTE = `
CREATE TABLE copy_note (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  note TEXT NOT NULL
) STRICT;
`;

// `unmarked` is the generation whose dead keys may not be marked yet. It is apart from the record, as `pending` is, and for
// the same reason: taking it off changes nothing that a client may have read.
const OWNERS = `
CREATE TABLE owners (
  id TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  update_time INTEGER NOT NULL,
  keyspace TEXT NOT NULL,
  owner_kind TEXT NOT NULL,
  owner_id TEXT NOT NULL,
  disabled INTEGER NOT NULL,
  unmarked INTEGER,
  record TEXT NOT NULL,
  pending TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX owners_by_place ON owners (keyspace, owner_kind, owner_id, disabled);
CREATE INDEX owners_unmarked ON owners (id) WHERE unmarked IS NOT NULL;
CREATE INDEX owners_unpublished ON owners (update_time, id) WHERE pending IS NOT NULL;
ALTER TABLE keyspaces ADD COLUMN unmarked INTEGER;
`;

/** Entry n brings a file from version n to n + 1. Never edited once released: a change is a new entry. */
const MIGRATIONS: readonly ((database: DatabaseSync) => void)[] = [
  (database) => {
    database.exec(FIRST_VERSION);
    const registry = { revision: 1, prefixes: {}, macKey: randomBytes(32).toString('base64url') };
    database
      .prepare('INSERT INTO registry (id, revision, record) VALUES (1, 1, ?)')
      .run(JSON.stringify(registry));
  },
  (database) => database.exec(COPY_NOTE),
  (database) => {
    database.exec(`
      ALTER TABLE keys ADD COLUMN parent_key_id TEXT;
      UPDATE keys SET parent_key_id = record ->> '$.parentKeyId';
      CREATE INDEX keys_by_parent ON keys (parent_key_id, id) WHERE parent_key_id IS NOT NULL;

      CREATE TABLE requests (
        id TEXT PRIMARY KEY,
        expire_time INTEGER NOT NULL,
        record TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX requests_by_expiry ON requests (expire_time);
    `);
  },
  (database) => database.exec(OWNERS),
];

/** The version that this code reads and writes; `PRAGMA user_version` of the file. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * The version of the file; 0 of an empty one. Changes nothing, so that another program's file stays as it is.
 *
 * @param path only for messages.
 * @throws StoreUnusable where the file is another program's, or was written by a newer Gatehouse.
 */
export function readVersion(database: DatabaseSync, path: string): number {
  const version = readPragma(database, 'user_version');
  if (!isOurs(database, version)) throw new StoreUnusable(`the data file ${path} belongs to another program`);
  if (version > SCHEMA_VERSION) {
    throw new StoreUnusable(
      `the data file ${path} was written by a newer Gatehouse (schema ${version}, this one knows ${SCHEMA_VERSION})`,
    );
  }
  return version;
}

/** Brings a file of this version to the current one, in one transaction. */
export function migrate(database: DatabaseSync, version: number): void {
  if (version === SCHEMA_VERSION) return;
  database.exec('BEGIN IMMEDIATE');
  for (const step of MIGRATIONS.slice(version)) step(database);
  database.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
  database.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
  database.exec('COMMIT');
}

/** Ours is a file that says so, and one that is quite empty. */
function isOurs(database: DatabaseSync, version: number): boolean {
  const applicationId = readPragma(database, 'application_id');
  if (applicationId !== 0 || version !== 0) return applicationId === APPLICATION_ID;
  return database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined;
}

function readPragma(database: DatabaseSync, name: 'user_version' | 'application_id'): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}
