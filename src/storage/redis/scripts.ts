/**
 * What is done in Redis in one step, each by a script. The protocol that they are part of is in docs/revocation.md.
 *
 * Redis's clock plays no part in it. An epoch is one life of one server's data: its replication id, which is another after
 * each restart and on each new master, and a random text beside it, which is gone when the data is.
 */

/** Milliseconds that a reader may take from its miss to its fill. */
const TOKEN_MS = 5000;
/** Entries that the log keeps, roughly: a replica that is further behind empties its memory. */
const LOG_LENGTH = 10_000;
/** Entries that one sync brings. */
const LOG_PAGE = 1000;

/** The replication id as the server has it now, not as a restored dump has it. */
const REPLICATION_ID = `
local info = redis.call('INFO', 'replication')
local replid = string.match(info, 'master_replid:(%x+)')`;

/** Begins an epoch where there is none of this server. KEYS: members, log. ARGV[1]: random, for a new one. */
const EPOCH = `${REPLICATION_ID}
local known = redis.call('HMGET', KEYS[1], '#replid', '#nonce')
if known[1] ~= replid or not known[2] then
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[1], '#replid', replid, '#nonce', ARGV[1], '#seq', '0')
  known[2] = ARGV[1]
end
local epoch = replid .. ':' .. known[2]`;

/** Begins another epoch where that of now still is ARGV[2]. KEYS: members, log. ARGV[1]: random. Gives the new one, or nothing. */
const RENEW = `${EPOCH}
if epoch ~= ARGV[2] then return false end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], '#seq', '0', '#replid', replid, '#nonce', ARGV[1])
return replid .. ':' .. ARGV[1]`;

/**
 * ARGV: nonce, replica, the epoch that it knows, the last entry that it has applied, how many syncs it has sent.
 * Gives epoch, last entry, the entries after the one that it has applied.
 */
const SYNC = `${EPOCH}
local same = ARGV[3] == epoch
-- What was applied in another epoch says nothing about this one.
redis.call('HSET', KEYS[1], ARGV[2], (same and ARGV[4] or '0') .. '/' .. ARGV[5])
local seq = redis.call('HGET', KEYS[1], '#seq')
local entries = {}
if same and ARGV[4] ~= seq then
  entries = redis.call('XRANGE', KEYS[2], string.format('%.0f-0', tonumber(ARGV[4]) + 1), '+', 'COUNT', ${LOG_PAGE})
end
return {epoch, seq, entries}`;

/**
 * KEYS: members, log, hint channel. ARGV: nonce, prefix of the slots, time, then of each entry record, keyspace, revision and 1 for a mark.
 * Gives epoch, number of the last entry, members.
 */
const ANNOUNCE = `${EPOCH}
local seq
for at = 4, #ARGV, 4 do
  redis.call('DEL', ARGV[2] .. epoch .. ':' .. ARGV[at])
  seq = redis.call('HINCRBY', KEYS[1], '#seq', 1)
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ${LOG_LENGTH}, seq .. '-0',
    'r', ARGV[at], 'k', ARGV[at + 1], 'v', ARGV[at + 2], 't', ARGV[3], 'm', ARGV[at + 3])
end
-- A hint may be lost, so one that is not allowed is no reason to fail.
redis.pcall('PUBLISH', KEYS[3], tostring(seq))
return {epoch, tostring(seq), redis.call('HGETALL', KEYS[1])}`;

/** KEYS: members. Gives epoch and members, or nothing where there is no epoch of this server. */
const MEMBERS = `${REPLICATION_ID}
local known = redis.call('HMGET', KEYS[1], '#replid', '#nonce')
if known[1] ~= replid or not known[2] then return {} end
return {replid .. ':' .. known[2], redis.call('HGETALL', KEYS[1])}`;

/** KEYS: members. ARGV: replica, the value it must still have. */
const REMOVE = `
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then return redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0`;

/**
 * KEYS: members, slot. ARGV: the epoch in the slot's name, a random token or nothing.
 * Gives what is in the slot and for how many milliseconds still; or leaves the token there. Nothing where the epoch is over: a
 * restored dump has slots of its own time.
 */
const TAKE = `${REPLICATION_ID}
local nonce = redis.call('HGET', KEYS[1], '#nonce')
-- A replica may lag behind the master whose epoch it has.
if not nonce or not string.find(info, 'role:master', 1, true) or replid .. ':' .. nonce ~= ARGV[1] then return {} end
local found = redis.call('GET', KEYS[2])
if found and string.sub(found, 1, 1) == 'r' then return {found, redis.call('PTTL', KEYS[2])} end
if ARGV[2] ~= '' then redis.call('SET', KEYS[2], ARGV[2], 'PX', ${TOKEN_MS}) end
return {ARGV[2]}`;

/** KEYS: slot. ARGV: the token that must still be there (nothing: none), the value, milliseconds to keep it. */
const FILL = `
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`;

export const SCRIPTS = {
  gatehouseSync: { lua: SYNC, numberOfKeys: 2 },
  gatehouseRenew: { lua: RENEW, numberOfKeys: 2 },
  gatehouseAnnounce: { lua: ANNOUNCE, numberOfKeys: 3 },
  gatehouseMembers: { lua: MEMBERS, numberOfKeys: 1 },
  gatehouseRemove: { lua: REMOVE, numberOfKeys: 1 },
  gatehouseTake: { lua: TAKE, numberOfKeys: 2 },
  gatehouseFill: { lua: FILL, numberOfKeys: 1 },
};
