-- The row of a managed session with its body, as they were at one moment.
--
-- KEYS[1]  {prefix}:x:session:row:{key}
-- KEYS[2]  {prefix}:x:session:body:{key}
--
-- Reply: {row, body}; each nil when there is none.

return { redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]) }
