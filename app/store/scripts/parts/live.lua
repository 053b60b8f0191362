-- The live stream of a customer's page: what happens is told in the step in which it does.
local function live(conversation, retention, ...)
  local MAX_LIVE = 1000
  local key = P .. 'e:' .. conversation
  redis.call('XADD', key, 'MAXLEN', '~', MAX_LIVE, '*', ...)
  redis.call('EXPIRE', key, retention)
end
