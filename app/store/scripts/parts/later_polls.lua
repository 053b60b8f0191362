-- The thread of a conversation is looked at again in `ms`; 0: no more.
local function poll_later(conversation, ms)
  if ms == 0 then
    redis.call('ZREM', P .. 'watch', conversation)
  else
    redis.call('ZADD', P .. 'watch', now + ms, conversation)
  end
end
