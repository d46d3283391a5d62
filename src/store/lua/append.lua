-- Appends events to a running run, in order and in one step. Keys, replies and helpers: fenced.lua.
--
-- KEYS[1]  record
-- KEYS[2]  events
-- ARGV[1]  the last event that the writer knows
-- ARGV[2]  time to live, milliseconds
-- ARGV[3]  how far the time to live may be off before it is refreshed, milliseconds
-- ARGV[4…] payloads

local refused = refusal(redis.call('GET', KEYS[1]), #ARGV - 3)
if refused then return refused end

local ids = append(4)
-- A stream that was just created has no time to live yet, which reads as -1.
if redis.call('PTTL', KEYS[2]) < ARGV[2] - ARGV[3] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
return ids
