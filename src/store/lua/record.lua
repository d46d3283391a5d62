-- How a run's keys are read; this text is loaded in front of every script that looks at a record.

-- JSON without blanks, as every known writer prints it, is searched: a quote inside a string is escaped, so the text cannot
-- occur within one. Anything else is decoded.
local function status_of(record)
  if string.find(record, '"status":"running"', 1, true) then return 'running' end
  local ok, fields = pcall(cjson.decode, record)
  if ok and type(fields) == 'table' and type(fields.status) == 'string' then return fields.status end
  return 'corrupt'
end

-- The payload of a stream entry, false when it has none.
local function payload_of(entry)
  local fields = entry[2]
  for i = 1, #fields, 2 do
    if fields[i] == 'payload' then return fields[i + 1] end
  end
  return false
end

-- The accepted cancel of a run as text; nil: none. A key of another type counts as none.
local function intent_of(key)
  local entry = redis.pcall('XRANGE', key, '-', '+', 'COUNT', 1)[1]
  return entry and (payload_of(entry) or '{}')
end
