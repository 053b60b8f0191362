-- The tick: mailboxes whose lease ran out are ready again (their owner is fenced off), and lanes with work that no drain is
-- on its way to are woken.  ->  {wakes...}
for _, lane in ipairs(redis.call('HKEYS', P .. 'lanes')) do
  local leased = P .. 'leased:' .. lane
  for _, mailbox in ipairs(redis.call('ZRANGEBYSCORE', leased, '-inf', now, 'LIMIT', 0, 100)) do
    redis.call('HDEL', P .. 'b:' .. mailbox, 'owner')
    release(mailbox, lane, now)
  end
  if redis.call('ZCOUNT', P .. 'ready:' .. lane, '-inf', now) > 0 then
    for _ = 1, 4 do
      local before = #wakes
      wake(lane)
      if #wakes == before then break end
    end
  end
end
return wakes
