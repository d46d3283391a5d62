-- Owners that have runs and no lease. Those that have neither are forgotten.
--
-- KEYS[1]  {prefix}:x:owners
-- ARGV[1]  {prefix}:x:
--
-- Reply: their ids.

local dead = {}
for _, owner in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if redis.call('EXISTS', ARGV[1] .. 'lease:' .. owner) == 0 then
    if redis.call('EXISTS', ARGV[1] .. 'owner:' .. owner .. ':runs') == 1 then dead[#dead + 1] = owner
    else redis.call('SREM', KEYS[1], owner) end
  end
end
return dead
