-- Writes the record of a new run and who owns it, unless an earlier creation means the same run. Helpers: indexed.lua.
--
-- KEYS[1]  {prefix}:runs:{id}:record
-- KEYS[2]  {prefix}:x:owner:{owner}:runs   set, the runs that this process owns
-- KEYS[3]  {prefix}:x:lease:{owner}        string, the number of the connection that the owner writes through
-- ARGV[1]  run id
-- ARGV[2]  the record
-- ARGV[3]  time to live, milliseconds
-- ARGV[4]  the number of the connection that the creation was meant for
-- ARGV[5]  time to live of KEYS[2] until the lease is renewed, milliseconds
-- ARGV[6]  the run's member of the index, "" when runs are not listed
-- ARGV[7]  its row there
-- ARGV[8]  {prefix}:x:index:
-- ARGV[9]  time to live of what is written there, milliseconds
-- ARGV[10] how many runs are listed at most
-- Only when the creation has an idempotency key:
-- KEYS[4]  {prefix}:x:idem:{key digest}:{request digest}   string, run id
-- KEYS[5]  {prefix}:x:idem:{key digest}                    string, "{request digest} {run id}" of the key's last use
-- ARGV[11] {prefix}:runs:
-- ARGV[12] request digest
-- ARGV[13] "1" when the same key with another request is a conflict
-- ARGV[14] time to live of both, milliseconds
--
-- Replies: {"created"}
--          {"same"}                             the run is there, just as it was to be written: an earlier delivery did it
--          {"exists"}                           the run id is taken
--          {"existing", run id, its record}     nothing was written
--          {"conflict"}                         nothing was written
--          {"lapsed"}                           nothing was written: the lease is gone, or the connection was replaced

-- What a dead connection still delivers must not be applied: its caller was told that it failed.
if redis.call('GET', KEYS[3]) ~= ARGV[4] then return { 'lapsed' } end
local current = redis.call('GET', KEYS[1])
if current then return { current == ARGV[2] and 'same' or 'exists' } end

if KEYS[4] then
  -- An entry whose record has expired counts as none.
  local function record_of(run_id) return redis.call('GET', ARGV[11] .. run_id .. ':record') end
  local same = redis.call('GET', KEYS[4])
  local record = same and record_of(same)
  if record then return { 'existing', same, record } end
  local last = ARGV[13] == '1' and redis.call('GET', KEYS[5])
  if last then
    local fingerprint, run_id = string.match(last, '^(%S+) (.*)$')
    if run_id and fingerprint ~= ARGV[12] and record_of(run_id) then return { 'conflict' } end
  end
end

redis.call('SADD', KEYS[2], ARGV[1])
if redis.call('PTTL', KEYS[2]) < 0 then redis.call('PEXPIRE', KEYS[2], ARGV[5]) end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if KEYS[4] then
  redis.call('SET', KEYS[4], ARGV[1], 'PX', ARGV[14])
  redis.call('SET', KEYS[5], ARGV[12] .. ' ' .. ARGV[1], 'PX', ARGV[14])
end
if ARGV[6] ~= '' then list_run(ARGV[8], ARGV[1], ARGV[6], ARGV[7], ARGV[9], ARGV[10]) end
return { 'created' }
