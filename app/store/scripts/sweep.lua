-- The tick: mailboxes whose lease ran out are ready again (their owner is fenced off), and lanes with work that no drain is
-- on its way to are woken; chats that are due for it get their slow check.  ->  {wakes...}
even_if_full()
for _, conversation in ipairs(redis.call('ZRANGEBYSCORE', P .. 'watch', '-inf', NOW, 'LIMIT', 0, 50)) do
  local destination = redis.call('HGET', P .. 's:' .. conversation, 'destination')
  watch(conversation, destination and LOOK_AGAIN_MS or 0)
  if destination and redis.call('HEXISTS', P .. 'lanes', 'inbound:' .. destination) == 1 then
    check(conversation, 'inbound:' .. destination)
  end
end
for _, lane in ipairs(redis.call('SMEMBERS', P .. 'busy')) do
  local ready, leased = P .. 'ready:' .. lane, P .. 'leased:' .. lane
  for _, mailbox in ipairs(redis.call('ZRANGEBYSCORE', leased, '-inf', NOW, 'LIMIT', 0, 100)) do
    redis.call('HDEL', P .. 'b:' .. mailbox, 'owner')
    release(mailbox, lane, NOW)
  end
  if redis.call('ZCARD', ready) + redis.call('ZCARD', leased) == 0 then
    redis.call('SREM', P .. 'busy', lane)
  elseif redis.call('ZCOUNT', ready, '-inf', NOW) > 0 then
    for _ = 1, 4 do
      local before = #wakes
      wake(lane)
      if #wakes == before then break end
    end
  end
end
return wakes
