-- What keeps the index of runs; this text is loaded in front of the scripts that write or read it.
--
-- {base}all, {base}status:{status}, {base}tenant:{digest}   sorted sets, all scores 0, so that members are in the order of their
--   text: "{created at, microseconds, 16 digits}:{run id}:{digest of the tenant, or -}"
-- {base}run:{run id}   string, lines: the member; the tenant as JSON; the outline as JSON; once the run is over, how it ended
--
-- The record alone says whether a run is there and what its status is. What the index has beyond that is dropped when it is
-- met. It is a convenience: where it cannot be written, runs go on without it.

-- The run is in no list any more.
local function unlist(base, member)
  redis.pcall('ZREM', base .. 'all', member)
  for _, status in ipairs({ 'running', 'succeeded', 'failed', 'cancelled' }) do
    redis.pcall('ZREM', base .. 'status:' .. status, member)
  end
  redis.pcall('ZREM', base .. 'tenant:' .. string.match(member, '[^:]*$'), member)
end

local function list_in(key, member, ttl)
  redis.pcall('ZADD', key, 0, member)
  redis.pcall('PEXPIRE', key, ttl)
end

-- A new run. The oldest leaves when there are more than `most`.
local function list_run(base, run_id, member, row, ttl, most)
  redis.pcall('SET', base .. 'run:' .. run_id, row, 'PX', ttl)
  list_in(base .. 'all', member, ttl)
  list_in(base .. 'status:running', member, ttl)
  local tenant = string.match(member, '[^:]*$')
  if tenant ~= '-' then list_in(base .. 'tenant:' .. tenant, member, ttl) end
  local count = redis.pcall('ZCARD', base .. 'all')
  if type(count) == 'number' and count > tonumber(most) then
    local oldest = redis.pcall('ZRANGE', base .. 'all', 0, 0)[1]
    if oldest then unlist(base, oldest) end
  end
end

-- The end of a run. One that is in no list stays so.
local function list_end(base, run_id, status, facts, ttl)
  local key = base .. 'run:' .. run_id
  local row = redis.pcall('GET', key)
  if type(row) ~= 'string' then return end
  local member = string.match(row, '^[^\n]*')
  redis.pcall('SET', key, row .. '\n' .. facts, 'PX', ttl)
  redis.pcall('ZREM', base .. 'status:running', member)
  list_in(base .. 'status:' .. status, member, ttl)
  redis.pcall('PEXPIRE', base .. 'all', ttl)
  redis.pcall('PEXPIRE', base .. 'tenant:' .. string.match(member, '[^:]*$'), ttl)
end
