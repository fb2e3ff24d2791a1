/**
 * Every statement of fixed text, with the plan that SQLite must make of it; the listings are in listing.ts.
 * A test asks SQLite (EXPLAIN QUERY PLAN) whether it still does, so that no change of schema or of SQLite
 * turns a look-up into a scan unseen. No plan: an insert, which searches nothing.
 */

const KEY_COLUMNS = [
  'id',
  'revision',
  'keyspace',
  'create_time',
  'update_time',
  'owner_kind',
  'owner_id',
  'project',
  'display_prefix',
  'generation',
  'disabled',
  'expire_time',
  'revoke_time',
  'folded_name',
  'record',
  'pending',
] as const;

const KEY_VALUES = KEY_COLUMNS.map((column) => `:${column}`).join(', ');
const KEY_CHANGES = KEY_COLUMNS.filter((column) => column !== 'id').map((column) => `${column} = :${column}`);

const SECRET_COLUMNS = [
  'keyspace',
  'lookup',
  'key_id',
  'generation',
  'algorithm',
  'pepper_id',
  'hash',
] as const;

const SECRET_VALUES = SECRET_COLUMNS.map((column) => `:${column}`).join(', ');

interface Statement {
  readonly sql: string;
  readonly plan: readonly string[];
}

export const STATEMENTS = {
  readRegistry: {
    sql: 'SELECT record FROM registry WHERE id = 1',
    plan: ['SEARCH registry USING INTEGER PRIMARY KEY (rowid=?)'],
  },
  replaceRegistry: {
    sql: 'UPDATE registry SET revision = :revision, record = :record WHERE id = 1 AND revision = :revision - 1',
    plan: ['SEARCH registry USING INTEGER PRIMARY KEY (rowid=?)'],
  },
  // The one wanted scan: all keyspaces are asked for, and they are few.
  listKeyspaces: { sql: 'SELECT record, pending FROM keyspaces ORDER BY id', plan: ['SCAN keyspaces'] },
  insertKeyspace: {
    sql: `INSERT INTO keyspaces (id, revision, update_time, record, pending)
      VALUES (:id, :revision, :update_time, :record, :pending) ON CONFLICT DO NOTHING`,
    plan: [],
  },
  replaceKeyspace: {
    sql: `UPDATE keyspaces
      SET revision = :revision, update_time = :update_time, record = :record, pending = :pending
      WHERE id = :id AND revision = :revision - 1`,
    plan: ['SEARCH keyspaces USING PRIMARY KEY (id=?)'],
  },
  findSecret: {
    sql: `SELECT ${SECRET_COLUMNS.join(', ')} FROM secrets WHERE keyspace = ? AND lookup = ?`,
    plan: ['SEARCH secrets USING PRIMARY KEY (keyspace=? AND lookup=?)'],
  },
  getKey: {
    sql: 'SELECT record, pending FROM keys WHERE id = ?',
    plan: ['SEARCH keys USING INDEX keys_by_id (id=?)'],
  },
  insertKey: {
    sql: `INSERT INTO keys (${KEY_COLUMNS.join(', ')}) VALUES (${KEY_VALUES}) ON CONFLICT DO NOTHING`,
    plan: [],
  },
  // This very secret may be there without its key, where a store that was copied here had a crash.
  insertSecret: {
    sql: `INSERT INTO secrets (${SECRET_COLUMNS.join(', ')}) VALUES (${SECRET_VALUES})
      ON CONFLICT DO UPDATE SET hash = hash
        WHERE key_id = excluded.key_id AND generation = excluded.generation`,
    plan: [],
  },
  replaceKey: {
    sql: `UPDATE keys SET ${KEY_CHANGES.join(', ')} WHERE id = :id AND revision = :revision - 1`,
    plan: ['SEARCH keys USING INDEX keys_by_id (id=?)'],
  },
  // Walks from keyspace to keyspace through the index: as many steps as there are keyspaces, not keys.
  keyspacesWithKeys: {
    sql: `WITH RECURSIVE step (keyspace) AS (
        SELECT min(keyspace) FROM keys INDEXED BY keys_by_keyspace
        UNION ALL
        SELECT (SELECT min(keyspace) FROM keys INDEXED BY keys_by_keyspace WHERE keyspace > step.keyspace)
        FROM step WHERE step.keyspace IS NOT NULL
      )
      SELECT keyspace FROM step WHERE keyspace IS NOT NULL`,
    plan: [
      'CO-ROUTINE step',
      'SETUP',
      'SEARCH keys USING COVERING INDEX keys_by_keyspace',
      'RECURSIVE STEP',
      'SCAN step',
      'CORRELATED SCALAR SUBQUERY 2',
      'SEARCH keys USING COVERING INDEX keys_by_keyspace (keyspace>?)',
      'SCAN step',
    ],
  },
  // Walks from pepper to pepper, as keyspacesWithKeys does.
  listPeppers: {
    sql: `WITH RECURSIVE step (pepper_id) AS (
        SELECT min(pepper_id) FROM secrets INDEXED BY secrets_by_pepper WHERE pepper_id IS NOT NULL
        UNION ALL
        SELECT (SELECT min(pepper_id) FROM secrets INDEXED BY secrets_by_pepper WHERE pepper_id > step.pepper_id)
        FROM step WHERE step.pepper_id IS NOT NULL
      )
      SELECT pepper_id FROM step WHERE pepper_id IS NOT NULL`,
    plan: [
      'CO-ROUTINE step',
      'SETUP',
      'SEARCH secrets USING COVERING INDEX secrets_by_pepper (pepper_id>?)',
      'RECURSIVE STEP',
      'SCAN step',
      'CORRELATED SCALAR SUBQUERY 2',
      'SEARCH secrets USING COVERING INDEX secrets_by_pepper (pepper_id>?)',
      'SCAN step',
    ],
  },
  // Only where a pepper is missing, to say how many keys that concerns.
  countKeysUnder: {
    sql: `SELECT count(*) AS keys
      FROM secrets INDEXED BY secrets_by_pepper
      CROSS JOIN keys INDEXED BY keys_by_id ON keys.id = secrets.key_id
      WHERE secrets.pepper_id = ? AND keys.generation = secrets.generation
        AND keys.revoke_time IS NULL AND (keys.expire_time IS NULL OR keys.expire_time > ?)`,
    plan: [
      'SEARCH secrets USING COVERING INDEX secrets_by_pepper (pepper_id=?)',
      'SEARCH keys USING INDEX keys_by_id (id=?)',
    ],
  },
  // Those indexes hold nothing but what is unpublished.
  listUnpublished: {
    sql: `SELECT 'key' AS kind, id, update_time FROM keys INDEXED BY keys_unpublished
        WHERE pending IS NOT NULL
      UNION ALL
      SELECT 'keyspace', id, update_time FROM keyspaces INDEXED BY keyspaces_unpublished
        WHERE pending IS NOT NULL
      ORDER BY update_time, id LIMIT ?`,
    plan: [
      'MERGE (UNION ALL)',
      'LEFT',
      'SCAN keys USING INDEX keys_unpublished',
      'RIGHT',
      'SCAN keyspaces USING INDEX keyspaces_unpublished',
    ],
  },
  keyPending: {
    sql: 'SELECT pending FROM keys WHERE id = ?',
    plan: ['SEARCH keys USING INDEX keys_by_id (id=?)'],
  },
  keyspacePending: {
    sql: 'SELECT pending FROM keyspaces WHERE id = ?',
    plan: ['SEARCH keyspaces USING PRIMARY KEY (id=?)'],
  },
  clearKeyPending: {
    sql: 'UPDATE keys SET pending = NULL WHERE id = ?',
    plan: ['SEARCH keys USING INDEX keys_by_id (id=?)'],
  },
  clearKeyspacePending: {
    sql: 'UPDATE keyspaces SET pending = NULL WHERE id = ?',
    plan: ['SEARCH keyspaces USING PRIMARY KEY (id=?)'],
  },
  insertEvent: {
    sql: `INSERT INTO events (id, record_kind, record_id, revision, event)
      VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    plan: [],
  },
  listEvents: {
    sql: 'SELECT event FROM events WHERE record_kind = ? AND record_id = ? ORDER BY revision, rowid',
    plan: ['SEARCH events USING INDEX events_by_record (record_kind=? AND record_id=?)'],
  },
  addUsage: {
    sql: `INSERT INTO usage (key_id, count, last_used_time) VALUES (?, ?, ?)
      ON CONFLICT (key_id) DO UPDATE SET
        count = count + excluded.count,
        last_used_time = max(last_used_time, excluded.last_used_time)`,
    plan: [],
  },
  readUsage: {
    sql: 'SELECT count, last_used_time FROM usage WHERE key_id = ?',
    plan: ['SEARCH usage USING PRIMARY KEY (key_id=?)'],
  },
  ping: {
    sql: 'UPDATE probe SET writes = writes + 1 WHERE id = 1',
    plan: ['SEARCH probe USING INTEGER PRIMARY KEY (rowid=?)'],
  },
  // What a copy moves, in chunks by primary key.
  movedRegistry: {
    sql: 'SELECT id, record FROM registry WHERE id > ? ORDER BY id LIMIT ?',
    plan: ['SEARCH registry USING INTEGER PRIMARY KEY (rowid>?)'],
  },
  movedKeyspaces: {
    sql: 'SELECT id, record, pending FROM keyspaces WHERE id > ? ORDER BY id LIMIT ?',
    plan: ['SEARCH keyspaces USING PRIMARY KEY (id>?)'],
  },
  movedKeys: {
    sql: 'SELECT id, record, pending FROM keys WHERE id > ? ORDER BY id LIMIT ?',
    plan: ['SEARCH keys USING INDEX keys_by_id (id>?)'],
  },
  movedSecrets: {
    sql: `SELECT ${SECRET_COLUMNS.join(', ')} FROM secrets
      WHERE (keyspace, lookup) > (?, ?) ORDER BY keyspace, lookup LIMIT ?`,
    plan: ['SEARCH secrets USING PRIMARY KEY ((keyspace,lookup)>(?,?))'],
  },
  movedUsage: {
    sql: 'SELECT key_id, count, last_used_time FROM usage WHERE key_id > ? ORDER BY key_id LIMIT ?',
    plan: ['SEARCH usage USING PRIMARY KEY (key_id>?)'],
  },
  movedEvents: {
    sql: 'SELECT id, record_kind, record_id, event FROM events WHERE id > ? ORDER BY id LIMIT ?',
    plan: ['SEARCH events USING INDEX events_by_id (id>?)'],
  },
  // Scans, once for each copy: all records are counted, to say how far the copy is.
  countRecords: {
    sql: `SELECT
      1 AS registry,
      (SELECT count(*) FROM keyspaces) AS keyspace,
      (SELECT count(*) FROM keys) AS key,
      (SELECT count(*) FROM secrets) AS secret,
      (SELECT count(*) FROM usage) AS usage,
      (SELECT count(*) FROM events) AS event`,
    plan: [
      'SCAN CONSTANT ROW',
      'SCALAR SUBQUERY 1',
      'SCAN keyspaces',
      'SCALAR SUBQUERY 2',
      'SCAN keys USING COVERING INDEX keys_by_id',
      'SCALAR SUBQUERY 3',
      'SCAN secrets',
      'SCALAR SUBQUERY 4',
      'SCAN usage',
      'SCALAR SUBQUERY 5',
      'SCAN events USING COVERING INDEX events_by_id',
    ],
  },
  putRegistry: {
    sql: 'INSERT OR REPLACE INTO registry (id, revision, record) VALUES (1, :revision, :record)',
    plan: [],
  },
  putKeyspace: {
    sql: `INSERT OR REPLACE INTO keyspaces (id, revision, update_time, record, pending)
      VALUES (:id, :revision, :update_time, :record, :pending)`,
    plan: [],
  },
  putKey: {
    sql: `INSERT OR REPLACE INTO keys (${KEY_COLUMNS.join(', ')}) VALUES (${KEY_VALUES})`,
    plan: [],
  },
  putSecret: {
    sql: `INSERT OR REPLACE INTO secrets (${SECRET_COLUMNS.join(', ')}) VALUES (${SECRET_VALUES})`,
    plan: [],
  },
  putUsage: {
    sql: `INSERT OR REPLACE INTO usage (key_id, count, last_used_time)
      VALUES (:key_id, :count, :last_used_time)`,
    plan: [],
  },
  putEvent: {
    sql: `INSERT OR REPLACE INTO events (id, record_kind, record_id, revision, event)
      VALUES (:id, :record_kind, :record_id, :revision, :event)`,
    plan: [],
  },
  readCopyNote: {
    sql: 'SELECT note FROM copy_note WHERE id = 1',
    plan: ['SEARCH copy_note USING INTEGER PRIMARY KEY (rowid=?)'],
  },
  writeCopyNote: { sql: 'INSERT OR REPLACE INTO copy_note (id, note) VALUES (1, ?)', plan: [] },
  clearCopyNote: {
    sql: 'DELETE FROM copy_note WHERE id = 1',
    plan: ['SEARCH copy_note USING INTEGER PRIMARY KEY (rowid=?)'],
  },
} as const satisfies Record<string, Statement>;

export type StatementName = keyof typeof STATEMENTS;
