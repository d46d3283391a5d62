-- Gives the lease of this process back: what it has left running is lost from now on.
--
-- KEYS[1]  {prefix}:x:lease:{owner}
-- KEYS[2]  {prefix}:x:owners
-- KEYS[3]  {prefix}:x:owner:{owner}:runs
-- ARGV[1]  owner id

redis.call('DEL', KEYS[1])
if redis.call('EXISTS', KEYS[3]) == 0 then redis.call('SREM', KEYS[2], ARGV[1]) end
return 1
