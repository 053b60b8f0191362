-- A session is written, unless it changed hands since it was read.
local function write_session(conversation, s)
  local DATED_EVERY_MS = 1000 -- where nothing else changes
  local key = P .. 's:' .. conversation
  local version, last_at = unpack(redis.call('HMGET', key, 'version', 'last_at'))
  if tonumber(version or 0) ~= s.version then return end
  local changes, since = s.fields or s.changes_hands, now - tonumber(last_at or 0)
  if not changes and since >= 0 and since < DATED_EVERY_MS then return end
  redis.call('HSET', key, 'last_at', NOW, unpack(s.fields or {}))
  if s.changes_hands then redis.call('HINCRBY', key, 'version', 1) end
  redis.call('EXPIRE', key, s.keep)
end
