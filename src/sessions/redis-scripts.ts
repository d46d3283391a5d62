// Every step of the Redis store as one Lua script. Each begins with the same lines: KEYS[1] is the prefix in braces, so that all
// keys are in one slot of a cluster; times are the server's own, in milliseconds.
//
//   {prefix}:rev               counter of revisions, of the whole store
//   {prefix}:row:<scope>       hash: owner, status, rev, state
//   {prefix}:active:<owner>    set of scopes
//   {prefix}:cleaned           sorted set of scopes by the time they were cleaned
//   {prefix}:turn:<scope>      hash: owner, token, until, note
//   {prefix}:turns:<owner>     set of scopes
//   {prefix}:lapse             sorted set of scopes by `until`
//   {prefix}:owed:<id>         hash: entry, claim, attempts, failed, error
//   {prefix}:due               sorted set of ids by the time they are due

const COMMON = `
local p = KEYS[1]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function int(n) return string.format('%.0f', n) end
`;

/** A claim of an entry that was found; nil for an id without an entry, which is then forgotten. */
const TAKE = `
local function take(id, token, lease)
  local owed = redis.call('HMGET', p .. ':owed:' .. id, 'entry', 'attempts', 'failed')
  if not owed[1] then redis.call('ZREM', p .. ':due', id) return nil end
  redis.call('HSET', p .. ':owed:' .. id, 'claim', token)
  redis.call('ZADD', p .. ':due', int(now + lease), id)
  return { owed[1], token, owed[2], owed[3] }
end
`;

const OWN_TURN = `
local key = p .. ':turn:' .. ARGV[1]
if redis.call('HGET', key, 'token') ~= ARGV[2] then return 0 end
`;

const OWN_CLAIM = `
local key = p .. ':owed:' .. ARGV[1]
if redis.call('HGET', key, 'claim') ~= ARGV[2] then return 0 end
`;

export const SCRIPTS = {
  // scope, owner, status, state, expected revision or '', then id and entry of each clean-up → {1, rev} or {0, rev or ''}
  save: `${COMMON}
local row = p .. ':row:' .. ARGV[1]
local actual = redis.call('HGET', row, 'rev') or ''
if actual ~= ARGV[5] then return { 0, actual } end
local rev = int(redis.call('INCR', p .. ':rev'))
redis.call('HSET', row, 'owner', ARGV[2], 'status', ARGV[3], 'rev', rev, 'state', ARGV[4])
if ARGV[3] == 'active' then
  redis.call('SADD', p .. ':active:' .. ARGV[2], ARGV[1])
  redis.call('ZREM', p .. ':cleaned', ARGV[1])
else
  redis.call('SREM', p .. ':active:' .. ARGV[2], ARGV[1])
  redis.call('ZADD', p .. ':cleaned', int(now), ARGV[1])
end
for i = 6, #ARGV, 2 do
  local owed = p .. ':owed:' .. ARGV[i]
  if redis.call('EXISTS', owed) == 0 then
    redis.call('HSET', owed, 'entry', ARGV[i + 1], 'attempts', '0', 'failed', '0')
    redis.call('ZADD', p .. ':due', int(now), ARGV[i])
  end
end
return { 1, rev }`,

  // scope → {rev, state, status} or empty
  load: `${COMMON}
local row = redis.call('HMGET', p .. ':row:' .. ARGV[1], 'rev', 'state', 'status')
if not row[1] then return {} end
return row`,

  // owner → scopes
  active: `${COMMON} return redis.call('SMEMBERS', p .. ':active:' .. ARGV[1])`,

  // age, at most → how many
  purge: `${COMMON}
local old = redis.call('ZRANGEBYSCORE', p .. ':cleaned', '-inf', int(now - ARGV[1]), 'LIMIT', 0, ARGV[2])
for _, scope in ipairs(old) do
  redis.call('DEL', p .. ':row:' .. scope)
  redis.call('ZREM', p .. ':cleaned', scope)
end
return #old`,

  // scope, owner, token, lease → {1, note or ''} or {0, note or '', remaining}
  beginTurn: `${COMMON}
local key = p .. ':turn:' .. ARGV[1]
local held = redis.call('HMGET', key, 'token', 'until', 'note')
local left = held[2] and tonumber(held[2]) - now or 0
if held[1] and held[1] ~= ARGV[3] and left > 0 then return { 0, held[3] or '', int(left) } end
redis.call('HSET', key, 'owner', ARGV[2], 'token', ARGV[3], 'until', int(now + ARGV[4]))
redis.call('SADD', p .. ':turns:' .. ARGV[2], ARGV[1])
redis.call('ZADD', p .. ':lapse', int(now + ARGV[4]), ARGV[1])
return { 1, held[3] or '' }`,

  // scope, token, lease, note or '' → 1 or 0
  keepTurn: `${COMMON} ${OWN_TURN}
redis.call('HSET', key, 'until', int(now + ARGV[3]))
if ARGV[4] ~= '' then redis.call('HSET', key, 'note', ARGV[4]) end
redis.call('ZADD', p .. ':lapse', int(now + ARGV[3]), ARGV[1])
return 1`,

  // scope, token, owner → 1 or 0
  endTurn: `${COMMON} ${OWN_TURN}
redis.call('DEL', key)
redis.call('SREM', p .. ':turns:' .. ARGV[3], ARGV[1])
redis.call('ZREM', p .. ':lapse', ARGV[1])
return 1`,

  // owner → scopes
  turnsOf: `${COMMON} return redis.call('SMEMBERS', p .. ':turns:' .. ARGV[1])`,

  // at most → scopes
  lapsedTurns: `${COMMON}
return redis.call('ZRANGEBYSCORE', p .. ':lapse', '-inf', int(now), 'LIMIT', 0, ARGV[1])`,

  // scope → note, '' for none, or nil without a turn
  note: `${COMMON}
local turn = redis.call('HMGET', p .. ':turn:' .. ARGV[1], 'token', 'note')
if not turn[1] then return false end
return turn[2] or ''`,

  // lease, tokens for as many as may be claimed → entries
  claim: `${COMMON} ${TAKE}
local taken = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', p .. ':due', '-inf', int(now), 'LIMIT', 0, #ARGV - 1)) do
  taken[#taken + 1] = take(id, ARGV[#taken + 2], ARGV[1])
end
return taken`,

  // lease, how many, that many tokens, then ids → entries
  claimOf: `${COMMON} ${TAKE}
local taken = {}
local limit = tonumber(ARGV[2])
for i = 3 + limit, #ARGV do
  local due = redis.call('ZSCORE', p .. ':due', ARGV[i])
  local claim = redis.call('HGET', p .. ':owed:' .. ARGV[i], 'claim')
  if #taken < limit and due and (not claim or tonumber(due) <= now) then
    taken[#taken + 1] = take(ARGV[i], ARGV[#taken + 3], ARGV[1])
  end
end
return taken`,

  // id, claim, delay, failed runs, error → 1 or 0
  retry: `${COMMON} ${OWN_CLAIM}
redis.call('HDEL', key, 'claim')
redis.call('HINCRBY', key, 'attempts', 1)
redis.call('HSET', key, 'failed', ARGV[4], 'error', ARGV[5])
redis.call('ZADD', p .. ':due', int(now + ARGV[3]), ARGV[1])
return 1`,

  // id, claim → 1 or 0
  done: `${COMMON} ${OWN_CLAIM}
redis.call('DEL', key)
redis.call('ZREM', p .. ':due', ARGV[1])
return 1`,

  // → {entries, ms until the next or ''}
  backlog: `${COMMON}
local first = redis.call('ZRANGE', p .. ':due', 0, 0, 'WITHSCORES')
return { int(redis.call('ZCARD', p .. ':due')), first[2] and int(math.max(0, first[2] - now)) or '' }`,
} as const;

export type ScriptName = keyof typeof SCRIPTS;
