-- Reads events after a cursor. Stops early when the page is heavy: COUNT alone does not bound its size.
--
-- KEYS[1]  {prefix}:runs:{id}:record
-- KEYS[2]  {prefix}:runs:{id}:events
-- KEYS[3]  {prefix}:x:trimmed:{id}   string, "{last id that was dropped} …"; only when something was
-- ARGV[1]  the cursor, exclusive
-- ARGV[2]  how many events at most
-- ARGV[3]  bytes of payload after which the page ends
--
-- Reply: {last id that was dropped or "", id, payload, id, payload, …}; payload is nil for an entry without that field. Empty
-- when the run is unknown.

if redis.call('EXISTS', KEYS[1]) == 0 then return {} end

-- Entries are fetched in steps that grow, so that a run of very large events is noticed before many are in memory.
local step, MAX_STEP = 8, 128
local wanted, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
local after, count, size = ARGV[1], 0, 0
local reply = { string.match(redis.call('GET', KEYS[3]) or '', '^%S*') }
while count < wanted and size < limit do
  step = math.min(step, wanted - count)
  local entries = redis.call('XRANGE', KEYS[2], '(' .. after, '+', 'COUNT', step)
  for _, entry in ipairs(entries) do
    local payload = payload_of(entry)
    if payload then size = size + #payload end
    reply[2 * count + 2] = entry[1]
    reply[2 * count + 3] = payload
    count = count + 1
  end
  if #entries < step then break end
  after = entries[#entries][1]
  step = math.min(2 * step, MAX_STEP)
end
return reply
