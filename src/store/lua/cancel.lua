-- Records the wish to cancel a running run (spec 01 §6.1, V4). The first one stands.
--
-- KEYS[1]  {prefix}:runs:{id}:record
-- KEYS[2]  {prefix}:runs:{id}:events
-- KEYS[3]  {prefix}:runs:{id}:cancel-intent   stream, one entry, field "payload"
-- KEYS[4]  {prefix}:x:cancels                 stream, accepted cancels of all runs, for whoever owns the run
-- ARGV[1]  run id
-- ARGV[2]  the intent as JSON
-- ARGV[3]  time to live, milliseconds
-- ARGV[4]  how many entries KEYS[4] has at most, about
-- ARGV[5]  time to live of KEYS[4], milliseconds
-- ARGV[6]  bytes of the longest intent that is announced with its text; a longer one is looked up by whoever owns the run
--
-- Reply: {status, or "unknown" or "corrupt"}; for a running run {"running", the intent that stands}.

local record = redis.call('GET', KEYS[1])
if not record then return { 'unknown' } end
local status = status_of(record)
if status ~= 'running' then return { status } end
local first = intent_of(KEYS[3])
if first then return { status, first } end

redis.call('XADD', KEYS[3], 'MAXLEN', 1, '*', 'payload', ARGV[2])
for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], ARGV[3]) end
local text = #ARGV[2] <= tonumber(ARGV[6]) and ARGV[2] or ''
redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[4], '*', 'run', ARGV[1], 'payload', text)
redis.call('PEXPIRE', KEYS[4], ARGV[5])
return { status, ARGV[2] }
