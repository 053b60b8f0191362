-- A session is written, unless it changed hands since it was read.
local function write_session(conversation, s)
  local key = P .. 's:' .. conversation
  if tonumber(redis.call('HGET', key, 'version') or '0') ~= s.version then return end
  redis.call('HSET', key, 'last_at', NOW, unpack(s.fields))
  if s.changes_hands then redis.call('HINCRBY', key, 'version', 1) end
  redis.call('EXPIRE', key, s.keep)
end
