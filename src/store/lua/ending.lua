-- What finalise.lua and finalise-lost.lua share; this text is loaded in front of theirs, after record.lua.
--
-- Reply: the end has to wait   {"held", the accepted cancel}   the run can only end as cancelled
--                              {"held"}                        it cannot, because nobody asked for that

-- Nothing when a running run may end with this status; otherwise the reply that says why not (spec 01 §6.1, V4).
local function held(status, intent_key)
  local intent = intent_of(intent_key)
  if status == 'cancelled' then return not intent and { 'held' } or nil end
  return intent and { 'held', intent }
end

-- Replaces the record. The new one is put together as text: cjson would reorder its keys and escape its slashes.
-- head: {"run_id":"…","status":"…","created_at":"        tail: ","error":…}
local function end_record(key, record, head, updated_at, tail, ttl)
  local created_at = string.match(record, '"created_at":"([^"\\]+)"')
  if not created_at then
    local ok, fields = pcall(cjson.decode, record)
    created_at = ok and type(fields) == 'table' and type(fields.created_at) == 'string'
      and string.match(fields.created_at, '^[%w:.+ -]+$') or updated_at
  end
  redis.call('SET', key, head .. created_at .. '","updated_at":"' .. updated_at .. tail, 'PX', ttl)
end
