-- Removes the row of a managed session if its version is the expected one. Keys are those of session-save.lua.
--
-- ARGV[1]  key
-- ARGV[2]  the expected version
--
-- Reply: 1 removed, or there was none; 0 another version is there.

local row = redis.call('GET', KEYS[1])
if row then
  local version, _, member = string.match(row, '^([^\n]*)\n([^\n]*)\n([^\n]*)\n')
  if version ~= ARGV[2] then return 0 end
  if member ~= '' then redis.call('ZREM', KEYS[5], member) end
end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
return 1
