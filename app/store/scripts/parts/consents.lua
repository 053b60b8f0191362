-- uses: people
-- Consent of a customer on one channel (app/core/consent.py), for `keep` seconds or for ever; it is that of the person,
-- whichever of their addresses it was stated under.
local function consent(conversation, state, by, keep)
  local key = P .. 'o:' .. (conversation_of(conversation))
  redis.call('HSET', key, 'state', state, 'by', by, 'at', NOW)
  if keep then redis.call('EXPIRE', key, keep) else redis.call('PERSIST', key) end
end
