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
  'parent_key_id',
  'record',
  'pending',
] as const;

const KEYSPACE_COLUMNS = ['id', 'revision', 'update_time', 'unmarked', 'record', 'pending'] as const;

const OWNER_COLUMNS = [
  'id',
  'revision',
  'update_time',
  'keyspace',
  'owner_kind',
  'owner_id',
  'disabled',
  'unmarked',
  'record',
  'pending',
] as const;

function named(columns: readonly string[]): string {
  return columns.map((column) => `:${column}`).join(', ');
}

function changesOf(columns: readonly string[]): string {
  const changed = columns.filter((column) => column !== 'id');
  return changed.map((column) => `${column} = :${column}`).join(', ');
}

const SECRET_COLUMNS = [
  'keyspace',
  'lookup',
  'key_id',
  'generation',
  'algorithm',
  'pepper_id',
  'hash',
] as const;

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
  listKeyspaces: {
    sql: 'SELECT record, pending, unmarked FROM keyspaces ORDER BY id',
    plan: ['SCAN keyspaces'],
  },
  insertKeyspace: {
    sql: `INSERT INTO keyspaces (${KEYSPACE_COLUMNS.join(', ')}) VALUES (${named(KEYSPACE_COLUMNS)})
      ON CONFLICT DO NOTHING`,
    plan: [],
  },
  replaceKeyspace: {
    sql: `UPDATE keyspaces SET ${changesOf(KEYSPACE_COLUMNS)} WHERE id = :id AND revision = :revision - 1`,
    plan: ['SEARCH keyspaces USING PRIMARY KEY (id=?)'],
  },
  markedKeyspace: {
    sql: 'UPDATE keyspaces SET unmarked = NULL WHERE id = ? AND unmarked = ?',
    plan: ['SEARCH keyspaces USING PRIMARY KEY (id=?)'],
  },
  getOwner: {
    sql: 'SELECT record, pending, unmarked FROM owners WHERE id = ?',
    plan: ['SEARCH owners USING PRIMARY KEY (id=?)'],
  },
  insertOwner: {
    sql: `INSERT INTO owners (${OWNER_COLUMNS.join(', ')}) VALUES (${named(OWNER_COLUMNS)}) ON CONFLICT DO NOTHING`,
    plan: [],
  },
  replaceOwner: {
    sql: `UPDATE owners SET ${changesOf(OWNER_COLUMNS)} WHERE id = :id AND revision = :revision - 1`,
    plan: ['SEARCH owners USING PRIMARY KEY (id=?)'],
  },
  // `disabled` of -1 asks for both.
  listOwners: {
    sql: `SELECT record, pending, unmarked FROM owners INDEXED BY owners_by_place
      WHERE (keyspace, owner_kind, owner_id) > (?, ?, ?) AND ? IN ('', owner_kind) AND ? IN (-1, disabled)
      ORDER BY keyspace, owner_kind, owner_id LIMIT ?`,
    plan: ['SEARCH owners USING INDEX owners_by_place ((keyspace,owner_kind,owner_id)>(?,?,?))'],
  },
  listOwnersOfKeyspace: {
    sql: `SELECT record, pending, unmarked FROM owners INDEXED BY owners_by_place
      WHERE keyspace = ? AND (owner_kind, owner_id) > (?, ?) AND ? IN (-1, disabled)
      ORDER BY owner_kind, owner_id LIMIT ?`,
    plan: ['SEARCH owners USING INDEX owners_by_place (keyspace=? AND (owner_kind,owner_id)>(?,?))'],
  },
  listOwnersOfKind: {
    sql: `SELECT record, pending, unmarked FROM owners INDEXED BY owners_by_place
      WHERE keyspace = ? AND owner_kind = ? AND owner_id > ? AND ? IN (-1, disabled)
      ORDER BY owner_id LIMIT ?`,
    plan: ['SEARCH owners USING INDEX owners_by_place (keyspace=? AND owner_kind=? AND owner_id>?)'],
  },
  listUnmarkedOwners: {
    sql: `SELECT record, pending, unmarked FROM owners INDEXED BY owners_unmarked
      WHERE unmarked IS NOT NULL ORDER BY id LIMIT ?`,
    plan: ['SCAN owners USING INDEX owners_unmarked'],
  },
  markedOwner: {
    sql: 'UPDATE owners SET unmarked = NULL WHERE id = ? AND unmarked = ?',
    plan: ['SEARCH owners USING PRIMARY KEY (id=?)'],
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
    sql: `INSERT INTO keys (${KEY_COLUMNS.join(', ')}) VALUES (${named(KEY_COLUMNS)}) ON CONFLICT DO NOTHING`,
    plan: [],
  },
  // This very secret may be there without its key, where a store that was copied here had a crash.
  insertFirstSecret: {
    sql: `INSERT INTO secrets (${SECRET_COLUMNS.join(', ')}) VALUES (${named(SECRET_COLUMNS)})
      ON CONFLICT DO UPDATE SET hash = hash
        WHERE key_id = excluded.key_id AND generation = excluded.generation`,
    plan: [],
  },
  insertSecret: {
    sql: `INSERT INTO secrets (${SECRET_COLUMNS.join(', ')}) VALUES (${named(SECRET_COLUMNS)}) ON CONFLICT DO NOTHING`,
    plan: [],
  },
  replaceKey: {
    sql: `UPDATE keys SET ${changesOf(KEY_COLUMNS)} WHERE id = :id AND revision = :revision - 1`,
    plan: ['SEARCH keys USING INDEX keys_by_id (id=?)'],
  },
  listChildren: {
    sql: `SELECT record, pending FROM keys INDEXED BY keys_by_parent
      WHERE parent_key_id = ? AND id > ? ORDER BY id LIMIT ?`,
    plan: ['SEARCH keys USING INDEX keys_by_parent (parent_key_id=? AND id>?)'],
  },
  insertRequest: {
    sql: 'INSERT INTO requests (id, expire_time, record) VALUES (:id, :expire_time, :record) ON CONFLICT DO NOTHING',
    plan: [],
  },
  readRequest: {
    sql: 'SELECT record FROM requests WHERE id = ?',
    plan: ['SEARCH requests USING PRIMARY KEY (id=?)'],
  },
  finishRequest: {
    sql: "UPDATE requests SET record = json_set(record, '$.done', json('true')) WHERE id = ? AND expire_time = ?",
    plan: ['SEARCH requests USING PRIMARY KEY (id=?)'],
  },
  releaseRequest: {
    sql: 'DELETE FROM requests WHERE id = ? AND expire_time = ?',
    plan: ['SEARCH requests USING PRIMARY KEY (id=?)'],
  },
  // What expired a day ago: a clock that was set back must not make an id good again.
  dropRequests: {
    sql: 'DELETE FROM requests WHERE expire_time < ?',
    plan: ['SEARCH requests USING INDEX requests_by_expiry (expire_time<?)'],
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
    sql: `SELECT count(DISTINCT keys.id) AS keys
      FROM secrets INDEXED BY secrets_by_pepper
      CROSS JOIN keys INDEXED BY keys_by_id ON keys.id = secrets.key_id
      WHERE secrets.pepper_id = ? AND keys.revoke_time IS NULL
        AND (keys.expire_time IS NULL OR keys.expire_time > ?)
        AND (keys.generation = secrets.generation
          OR (keys.record ->> '$.previous.generation' = secrets.generation
            AND keys.record ->> '$.previous.expireTime' > ?))`,
    plan: [
      'USE TEMP B-TREE FOR count(DISTINCT)',
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
      UNION ALL
      SELECT 'owner', id, update_time FROM owners INDEXED BY owners_unpublished
        WHERE pending IS NOT NULL
      ORDER BY update_time, id LIMIT ?`,
    plan: [
      'MERGE (UNION ALL)',
      'LEFT',
      'MERGE (UNION ALL)',
      'LEFT',
      'SCAN keys USING INDEX keys_unpublished',
      'RIGHT',
      'SCAN keyspaces USING INDEX keyspaces_unpublished',
      'RIGHT',
      'SCAN owners USING INDEX owners_unpublished',
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
  ownerPending: {
    sql: 'SELECT pending FROM owners WHERE id = ?',
    plan: ['SEARCH owners USING PRIMARY KEY (id=?)'],
  },
  replaceOwnerPending: {
    sql: 'UPDATE owners SET pending = ? WHERE id = ?',
    plan: ['SEARCH owners USING PRIMARY KEY (id=?)'],
  },
  replaceKeyPending: {
    sql: 'UPDATE keys SET pending = ? WHERE id = ?',
    plan: ['SEARCH keys USING INDEX keys_by_id (id=?)'],
  },
  replaceKeyspacePending: {
    sql: 'UPDATE keyspaces SET pending = ? WHERE id = ?',
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
    sql: 'SELECT id, record, pending, unmarked FROM keyspaces WHERE id > ? ORDER BY id LIMIT ?',
    plan: ['SEARCH keyspaces USING PRIMARY KEY (id>?)'],
  },
  movedOwners: {
    sql: 'SELECT id, record, pending, unmarked FROM owners WHERE id > ? ORDER BY id LIMIT ?',
    plan: ['SEARCH owners USING PRIMARY KEY (id>?)'],
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
  movedRequests: {
    sql: 'SELECT id, record FROM requests WHERE id > ? ORDER BY id LIMIT ?',
    plan: ['SEARCH requests USING PRIMARY KEY (id>?)'],
  },
  // Scans, once for each copy: all records are counted, to say how far the copy is.
  countRecords: {
    sql: `SELECT
      1 AS registry,
      (SELECT count(*) FROM keyspaces) AS keyspace,
      (SELECT count(*) FROM owners) AS owner,
      (SELECT count(*) FROM keys) AS key,
      (SELECT count(*) FROM secrets) AS secret,
      (SELECT count(*) FROM usage) AS usage,
      (SELECT count(*) FROM events) AS event,
      (SELECT count(*) FROM requests) AS request`,
    plan: [
      'SCAN CONSTANT ROW',
      'SCALAR SUBQUERY 1',
      'SCAN keyspaces',
      'SCALAR SUBQUERY 2',
      'SCAN owners USING COVERING INDEX owners_by_place',
      'SCALAR SUBQUERY 3',
      'SCAN keys USING COVERING INDEX keys_by_id',
      'SCALAR SUBQUERY 4',
      'SCAN secrets',
      'SCALAR SUBQUERY 5',
      'SCAN usage',
      'SCALAR SUBQUERY 6',
      'SCAN events USING COVERING INDEX events_by_id',
      'SCALAR SUBQUERY 7',
      'SCAN requests USING COVERING INDEX requests_by_expiry',
    ],
  },
  putRegistry: {
    sql: 'INSERT OR REPLACE INTO registry (id, revision, record) VALUES (1, :revision, :record)',
    plan: [],
  },
  putKeyspace: {
    sql: `INSERT OR REPLACE INTO keyspaces (${KEYSPACE_COLUMNS.join(', ')}) VALUES (${named(KEYSPACE_COLUMNS)})`,
    plan: [],
  },
  putOwner: {
    sql: `INSERT OR REPLACE INTO owners (${OWNER_COLUMNS.join(', ')}) VALUES (${named(OWNER_COLUMNS)})`,
    plan: [],
  },
  putKey: {
    sql: `INSERT OR REPLACE INTO keys (${KEY_COLUMNS.join(', ')}) VALUES (${named(KEY_COLUMNS)})`,
    plan: [],
  },
  putSecret: {
    sql: `INSERT OR REPLACE INTO secrets (${SECRET_COLUMNS.join(', ')}) VALUES (${named(SECRET_COLUMNS)})`,
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
  putRequest: {
    sql: 'INSERT OR REPLACE INTO requests (id, expire_time, record) VALUES (:id, :expire_time, :record)',
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
