-- Takes or renews the lease of this process. It runs out by the clock of Redis: no other clock matters.
--
-- KEYS[1]  {prefix}:x:lease:{owner}        string, the number of the connection that the owner writes through
-- KEYS[2]  {prefix}:x:owners               set, all owners
-- KEYS[3]  {prefix}:x:owner:{owner}:runs   set, the runs that this process owns
-- ARGV[1]  length of the lease, milliseconds
-- ARGV[2]  the number of this connection
-- ARGV[3]  owner id
-- ARGV[4]  time to live of the sets, milliseconds; the shared one lives as long as its longest-lived member wants
--
-- Reply: 1 when the lease was there, 0 when it had run out or had never been taken.

local value = redis.call('GET', KEYS[1])
if value == ARGV[2] then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
else
  local set = redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
  if set.err then
    -- A server whose memory is full refuses to set anything. What lives shall live on all the same.
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
    return set
  end
end
redis.call('SADD', KEYS[2], ARGV[3])
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[2], ARGV[4]) end
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return value and 1 or 0
