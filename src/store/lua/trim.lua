-- Drops the oldest events of a run, except its first one, until it is within its limits.
--
-- KEYS[1]  {prefix}:runs:{id}:events
-- KEYS[2]  {prefix}:x:trimmed:{id}   string, "{last id that was dropped} {bytes of payload that were dropped so far}"
-- ARGV[1]  the event before which everything may go: the last one that the writer knows. It stays itself, and with it the
--          writer's place, and what is still looked for after a lost reply
-- ARGV[2]  how many events shall stay, 0: any number
-- ARGV[3]  how many bytes of payload shall stay, 0: any number
-- ARGV[4]  bytes of payload that were ever written
-- ARGV[5]  time to live of KEYS[2], milliseconds
-- ARGV[6]  how many events are dropped at most
--
-- Reply: how many events were dropped now.

local CHUNK = 128
local size = redis.call('XLEN', KEYS[1])
local dropped_bytes = tonumber(string.match(redis.call('GET', KEYS[2]) or '', ' (%d+)$') or 0)
local max_bytes = tonumber(ARGV[3])
local excess = tonumber(ARGV[2]) > 0 and size - tonumber(ARGV[2]) or 0
local surplus = max_bytes > 0 and tonumber(ARGV[4]) - dropped_bytes - max_bytes or 0
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local dropped, last = 0, nil

while first and (excess > 0 or surplus > 0) and dropped < tonumber(ARGV[6]) do
  local entries = redis.call('XRANGE', KEYS[1], '(' .. (last or first[1]), '(' .. ARGV[1], 'COUNT', CHUNK)
  local ids = {}
  for _, entry in ipairs(entries) do
    if excess <= 0 and surplus <= 0 then break end
    local bytes = #(payload_of(entry) or '')
    ids[#ids + 1] = entry[1]
    excess, surplus, dropped_bytes = excess - 1, surplus - bytes, dropped_bytes + bytes
  end
  if #ids == 0 then break end
  redis.call('XDEL', KEYS[1], unpack(ids))
  dropped, last = dropped + #ids, ids[#ids]
end
if last then redis.call('SET', KEYS[2], last .. string.format(' %.0f', dropped_bytes), 'PX', ARGV[5]) end
return dropped
