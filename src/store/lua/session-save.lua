-- Writes the row of a managed session if its version is the expected one.
--
-- KEYS[1]  {prefix}:x:session:row:{key}    string, "{version}\n{due}\n{tenant member}\n{head}"
-- KEYS[2]  {prefix}:x:session:body:{key}   string, the large part; only when there is one
-- KEYS[3]  {prefix}:x:session:keys         sorted set, all keys, score 0
-- KEYS[4]  {prefix}:x:session:due          sorted set, all keys by when they are due
-- KEYS[5]  {prefix}:x:session:tenants      sorted set, "{digest of the tenant} {key}", score 0
-- ARGV[1]  key
-- ARGV[2]  the expected version, empty when there must be no row
-- ARGV[3]  the new version
-- ARGV[4]  due, milliseconds
-- ARGV[5]  its member of KEYS[5], empty: none
-- ARGV[6]  the rest of the row: tenant as a JSON string or null, line break, head
-- ARGV[7]  "keep", "set" or "none": what becomes of the body
-- ARGV[8]  the body to set
--
-- Reply: 1 written (or by an earlier delivery of the same command), 0 another version is there.

local row = redis.call('GET', KEYS[1])
local version, _, member = string.match(row or '', '^([^\n]*)\n([^\n]*)\n([^\n]*)\n')
if version == ARGV[3] then return 1 end
if (version or '') ~= ARGV[2] then return 0 end

redis.call('SET', KEYS[1], ARGV[3] .. '\n' .. ARGV[4] .. '\n' .. ARGV[5] .. '\n' .. ARGV[6])
if ARGV[7] == 'set' then
  redis.call('SET', KEYS[2], ARGV[8])
elseif ARGV[7] == 'none' then
  redis.call('DEL', KEYS[2])
end
redis.call('ZADD', KEYS[3], 0, ARGV[1])
redis.call('ZADD', KEYS[4], ARGV[4], ARGV[1])
if member and member ~= '' and member ~= ARGV[5] then redis.call('ZREM', KEYS[5], member) end
if ARGV[5] ~= '' then redis.call('ZADD', KEYS[5], 0, ARGV[5]) end
return 1
