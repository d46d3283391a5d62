-- Walks a list of runs from new to old, and puts it right where it is wrong. Helpers: record.lua, indexed.lua.
--
-- KEYS[1]  one of the sorted sets
-- ARGV[1]  {prefix}:x:index:
-- ARGV[2]  {prefix}:runs:
-- ARGV[3]  where to begin: "+", or "(" or "[" and the beginning of a member
-- ARGV[4]  how many runs are wanted at most
-- ARGV[5]  how many are looked at, at most
-- ARGV[6]  bytes of records and rows after which the walk ends
-- ARGV[7]  what the run id begins with
-- ARGV[8]  the status that KEYS[1] lists, "" when it lists several
-- ARGV[9]  time to live of a set that a run is moved to, milliseconds
-- ARGV[10…] the statuses that are wanted; none: any
--
-- Reply: {the member that was looked at last, "" when the list has ended, member, record, row or nil, member, record, …}

local CHUNK = 128
local base, prefix, listed = ARGV[1], ARGV[7], ARGV[8]
local wanted = {}
for i = 10, #ARGV do wanted[ARGV[i]] = true end

local reply, found, looked, size, before = { '' }, 0, 0, 0, ARGV[3]
local most, limit, bytes = tonumber(ARGV[5]), tonumber(ARGV[4]), tonumber(ARGV[6])
while true do
  local step = math.min(CHUNK, most - looked)
  local members = redis.call('ZRANGE', KEYS[1], before, '-', 'BYLEX', 'REV', 'LIMIT', 0, step)
  for _, member in ipairs(members) do
    looked = looked + 1
    reply[1] = member
    local run_id = string.match(member, '^%d+:(.*):[^:]*$')
    if not run_id then
      redis.call('ZREM', KEYS[1], member)
    elseif string.sub(run_id, 1, #prefix) == prefix then
      local record = redis.pcall('GET', ARGV[2] .. run_id .. ':record')
      if not record then
        unlist(base, member)
      elseif type(record) == 'string' then
        local status = status_of(record)
        if listed ~= '' and status ~= listed and status ~= 'corrupt' then
          redis.pcall('ZREM', KEYS[1], member)
          list_in(base .. 'status:' .. status, member, ARGV[9])
        end
        if #ARGV < 10 or wanted[status] then
          local row = redis.pcall('GET', base .. 'run:' .. run_id)
          if type(row) ~= 'string' then row = false end
          reply[3 * found + 2] = member
          reply[3 * found + 3] = record
          reply[3 * found + 4] = row
          found = found + 1
          size = size + #record + (row and #row or 0)
          if found == limit or size >= bytes then return reply end
        end
      end
    end
    if looked == most then return reply end
  end
  if #members < step then
    reply[1] = ''
    return reply
  end
  before = '(' .. members[#members]
end
