-- What has become of runs of one owner. Its index is put right: runs that are over or gone leave it, running ones are in it.
--
-- KEYS[1]  {prefix}:x:owner:{owner}:runs
-- ARGV[1]  {prefix}:runs:
-- ARGV[2]  time to live of the index, milliseconds
-- ARGV[3…] run ids, at most a few thousand
--
-- Reply: {status, intent, status, intent, …}; a status is "unknown" or "corrupt" when there is no record that can be read,
-- an intent is nil when no cancel was accepted.

local reply, running, over = {}, {}, {}
for i = 3, #ARGV do
  local base = ARGV[1] .. ARGV[i]
  local record = redis.pcall('GET', base .. ':record')
  local status = not record and 'unknown' or type(record) == 'string' and status_of(record) or 'corrupt'
  local list = status == 'running' and running or over
  list[#list + 1] = ARGV[i]
  reply[#reply + 1] = status
  reply[#reply + 1] = status == 'running' and intent_of(base .. ':cancel-intent') or false
end
if #over > 0 then redis.call('SREM', KEYS[1], unpack(over)) end
if #running > 0 then
  redis.call('SADD', KEYS[1], unpack(running))
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return reply
