-- What append.lua and finalise.lua share; this text is loaded in front of theirs, after record.lua.
--
-- KEYS[1]  {prefix}:runs:{id}:record   string, the run's record as JSON
-- KEYS[2]  {prefix}:runs:{id}:events   stream, one field "payload" per entry
-- ARGV[1]  the last event that the writer knows, "0-0" when it knows none
-- ARGV[2]  time to live of both keys, milliseconds
--
-- Replies: events appended     string, their ids joined by ","
--          run unknown         {"unknown"}
--          run not running     {its status, or "corrupt", last id, last payload, id, payload, …}
--          writer's place      {"running",                last id, last payload, id, payload, …}
--          is not the end
-- The pairs at the end are what follows ARGV[1], at most one more than the writer wanted to append: a writer that lost a
-- reply finds there whether its events are in the stream. So an append that is delivered twice is applied once.

-- Nothing when the run is running and ARGV[1] is the end of its stream; otherwise the reply that says why not.
local function refusal(record, wanted)
  if not record then return { 'unknown' } end
  local status = status_of(record)
  local follows = redis.call('XRANGE', KEYS[2], '(' .. ARGV[1], '+', 'COUNT', wanted + 1)
  if status == 'running' and #follows == 0 then return nil end
  local reply = { status, '0-0', '' }
  local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
  if last then
    reply[2] = last[1]
    reply[3] = payload_of(last) or ''
  end
  for _, entry in ipairs(follows) do
    reply[#reply + 1] = entry[1]
    reply[#reply + 1] = payload_of(entry) or ''
  end
  return reply
end

-- True when id stands after ARGV[1]. It does not when a failover lost events and the new server's clock is behind.
local function is_next(id)
  local ms, seq = string.match(id, '(%d+)-(%d+)')
  local known_ms, known_seq = string.match(ARGV[1], '(%d+)-(%d+)')
  if ms ~= known_ms then return tonumber(ms) > tonumber(known_ms) end
  return tonumber(seq) > tonumber(known_seq)
end

-- Appends ARGV[from] and what follows it; the ids, each greater than ARGV[1] and the one before.
local function append(from)
  local ids = {}
  for i = from, #ARGV do
    local id = redis.call('XADD', KEYS[2], '*', 'payload', ARGV[i])
    if i == from and not is_next(id) then
      redis.call('XDEL', KEYS[2], id)
      local ms, seq = string.match(ARGV[1], '(%d+)-(%d+)')
      id = redis.call('XADD', KEYS[2], ms .. '-' .. string.format('%.0f', seq + 1), 'payload', ARGV[i])
    end
    ids[#ids + 1] = id
  end
  return table.concat(ids, ',')
end
