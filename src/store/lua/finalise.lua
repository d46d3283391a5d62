-- Ends a running run: appends its last events, the terminal one among them, and replaces its record, in one step. The first
-- call wins. Keys 1 and 2, replies and helpers: fenced.lua, ending.lua, indexed.lua.
--
-- KEYS[1]  record
-- KEYS[2]  events
-- KEYS[3]  {prefix}:runs:{id}:cancel-intent   stream, one entry when a cancel was accepted
-- KEYS[4]  {prefix}:x:owner:{owner}:runs      set, the runs that this process owns
-- ARGV[1]  the last event that the writer knows
-- ARGV[2]  time to live, milliseconds
-- ARGV[3]  run id
-- ARGV[4]  the new status
-- ARGV[5]  updated_at, RFC 3339
-- ARGV[6]  the new record up to the value of created_at
-- ARGV[7]  the new record after the value of updated_at
-- ARGV[8]  {prefix}:x:index:, "" when runs are not listed
-- ARGV[9]  what lists tell of the end
-- ARGV[10…] payloads; the last one is the terminal event

local record = redis.call('GET', KEYS[1])
local refused = refusal(record, #ARGV - 9) or held(ARGV[4], KEYS[3])
if refused then return refused end

local ids = append(10)
end_record(KEYS[1], record, ARGV[6], ARGV[5], ARGV[7], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
if ARGV[4] == 'cancelled' then redis.call('DEL', KEYS[3]) end
redis.call('SREM', KEYS[4], ARGV[3])
if ARGV[8] ~= '' then list_end(ARGV[8], ARGV[3], ARGV[4], ARGV[9], ARGV[2]) end
return ids
