-- Takes back a creation that was reported as failed although it may have been applied: nobody executes such a run. One that
-- has an idempotency key may have been named to somebody who used the same key meanwhile; it is given to the owner "nobody",
-- who has no lease, so that it ends like the runs of a dead process. The key itself is free again in either case.
--
-- KEYS[1]  {prefix}:runs:{id}:record
-- KEYS[2]  {prefix}:x:owner:{owner}:runs
-- ARGV[1]  run id
-- ARGV[2]  the record
-- Only when the creation had an idempotency key:
-- KEYS[3]  {prefix}:x:idem:{key digest}:{request digest}
-- KEYS[4]  {prefix}:x:idem:{key digest}
-- KEYS[5]  {prefix}:x:owner:nobody:runs
-- KEYS[6]  {prefix}:x:owners
-- ARGV[3]  "{request digest} {run id}"
-- ARGV[4]  time to live of the last two, milliseconds

redis.call('SREM', KEYS[2], ARGV[1])
local written = redis.call('GET', KEYS[1]) == ARGV[2]
if KEYS[3] then
  if redis.call('GET', KEYS[3]) == ARGV[1] then redis.call('DEL', KEYS[3]) end
  if redis.call('GET', KEYS[4]) == ARGV[3] then redis.call('DEL', KEYS[4]) end
  if written then
    redis.call('SADD', KEYS[5], ARGV[1])
    redis.call('SADD', KEYS[6], 'nobody')
    for i = 5, 6 do
      if redis.call('PTTL', KEYS[i]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[i], ARGV[4]) end
    end
  end
elseif written then
  redis.call('DEL', KEYS[1])
end
return 1
