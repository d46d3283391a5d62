-- Ends a running run: appends its last events, the terminal one among them, and replaces its record, in one step. The first
-- call wins. Keys, replies and helpers: fenced.lua.
--
-- KEYS[1]  record
-- KEYS[2]  events
-- ARGV[1]  the last event that the writer knows
-- ARGV[2]  time to live, milliseconds
-- ARGV[3]  updated_at, RFC 3339
-- ARGV[4]  the new record up to the value of created_at: {"run_id":"…","status":"…","created_at":"
-- ARGV[5]  the new record after the value of updated_at: ","error":…}
-- ARGV[6…] payloads; the last one is the terminal event

local record = redis.call('GET', KEYS[1])
local refused = refusal(record, #ARGV - 5)
if refused then return refused end

-- The record is put together as text: cjson would reorder its keys and escape its slashes.
local created_at = string.match(record, '"created_at":"([^"\\]+)"')
if not created_at then
  local ok, fields = pcall(cjson.decode, record)
  created_at = ok and type(fields) == 'table' and type(fields.created_at) == 'string'
    and string.match(fields.created_at, '^[%w:.+ -]+$') or ARGV[3]
end

local ids = append(6)
redis.call('SET', KEYS[1], ARGV[4] .. created_at .. '","updated_at":"' .. ARGV[3] .. ARGV[5], 'PX', ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return ids
