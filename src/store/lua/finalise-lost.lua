-- Ends a running run whose owner is dead, in one step. The first call wins. Helpers: ending.lua,
-- indexed.lua.
--
-- KEYS[1]  record
-- KEYS[2]  events
-- KEYS[3]  cancel-intent
-- KEYS[4]  {prefix}:x:owners   set, all owners
-- ARGV[1]  {prefix}:x:
-- ARGV[2]  time to live, milliseconds
-- ARGV[3]  run id
-- ARGV[4]  the new status
-- ARGV[5]  updated_at, RFC 3339
-- ARGV[6]  the new record up to the value of created_at
-- ARGV[7]  the new record after the value of updated_at
-- ARGV[8]  payload of the terminal event
-- ARGV[9]  {prefix}:x:index:, "" when runs are not listed
-- ARGV[10] what lists tell of the end
--
-- Replies: ended                string, the id of the terminal event
--          run unknown          {"unknown"}
--          run not running      {its status, or "corrupt", last id, last payload}
--          its owner lives, or  {"running"}
--          it has none of ours
--          the end has to wait  {"held", …}

local record = redis.call('GET', KEYS[1])
if not record then return { 'unknown' } end
local status = status_of(record)
if status ~= 'running' then
  local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
  return { status, last and last[1] or '0-0', last and payload_of(last) or '' }
end

-- The owner is whose set has the run; it is dead when it has no lease. Owners are as few as processes.
local index
for _, owner in ipairs(redis.call('SMEMBERS', KEYS[4])) do
  local key = ARGV[1] .. 'owner:' .. owner .. ':runs'
  if redis.call('SISMEMBER', key, ARGV[3]) == 1 then
    if redis.call('EXISTS', ARGV[1] .. 'lease:' .. owner) == 1 then return { 'running' } end
    index = key
  end
end
if not index then return { 'running' } end
local refused = held(ARGV[4], KEYS[3])
if refused then return refused end

local id = redis.call('XADD', KEYS[2], '*', 'payload', ARGV[8])
end_record(KEYS[1], record, ARGV[6], ARGV[5], ARGV[7], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
if ARGV[4] == 'cancelled' then redis.call('DEL', KEYS[3]) end
redis.call('SREM', index, ARGV[3])
if ARGV[9] ~= '' then list_end(ARGV[9], ARGV[3], ARGV[4], ARGV[10], ARGV[2]) end
return id
