-- The tick: mailboxes whose lease ran out are ready again (their owner is fenced off), and lanes with work that no drain is
-- on its way to are woken; chats that are due for it get their slow check. Clocks are set back: what then lies further ahead
-- than anything can is brought back, and so is what was due already by the clock of the lane's last sweep (`swept`).
-- ARGV[3]: JSON {lease_ms, delay_ms, watch_ms}, the longest that there are  ->  {wakes...}
even_if_full()
local BROUGHT_BACK_MOST = 1000 -- of one list, in one sweep
local most = cjson.decode(ARGV[3])

local function bring_back(key, first, last, to)
  local members = redis.call('ZRANGEBYSCORE', key, '(' .. str(first), last, 'LIMIT', 0, BROUGHT_BACK_MOST)
  for _, member in ipairs(members) do redis.call('ZADD', key, str(to), member) end
  return #members == BROUGHT_BACK_MOST
end

-- A lane that rests too long tries again; a lease is only cut short, because whoever has it may still be at work.
local function bring_back_lane(lane)
  local key = P .. 'lane:' .. lane
  local ready, leased = P .. 'ready:' .. lane, P .. 'leased:' .. lane
  local paused, probe, before = unpack(redis.call('HMGET', key, 'paused_until', 'probe', 'swept'))
  paused, probe, before = tonumber(paused or '0'), tonumber(probe or '0'), tonumber(before or '0')
  if paused > now + most.delay_ms or (paused > now and paused <= before) then
    redis.call('HSET', key, 'paused_until', NOW)
  end
  if probe > now + most.lease_ms then redis.call('HSET', key, 'probe', str(now + most.lease_ms)) end
  bring_back(leased, now + most.lease_ms, '+inf', now + most.lease_ms)
  bring_back(ready, now + most.delay_ms, '+inf', now)
  local unfinished = before > now and bring_back(ready, now, str(before), now)
  if not unfinished then redis.call('HSET', key, 'swept', NOW) end
  redis.call('ZREMRANGEBYSCORE', P .. 'drains:' .. lane, '(' .. str(now + math.max(most.lease_ms, WAKE_MS)), '+inf')
end

bring_back(P .. 'watch', now + most.watch_ms, '+inf', now)
for _, conversation in ipairs(redis.call('ZRANGEBYSCORE', P .. 'watch', '-inf', NOW, 'LIMIT', 0, 50)) do
  local destination = redis.call('HGET', P .. 's:' .. conversation, 'destination')
  watch(conversation, destination and LOOK_AGAIN_MS or 0)
  if destination and redis.call('HEXISTS', P .. 'lanes', 'inbound:' .. destination) == 1 then
    check(conversation, 'inbound:' .. destination)
  end
end
for _, lane in ipairs(redis.call('SMEMBERS', P .. 'busy')) do
  local ready, leased = P .. 'ready:' .. lane, P .. 'leased:' .. lane
  bring_back_lane(lane)
  for _, mailbox in ipairs(redis.call('ZRANGEBYSCORE', leased, '-inf', NOW, 'LIMIT', 0, 100)) do
    if (redis.call('HGET', P .. 'b:' .. mailbox, 'lane') or lane) == lane then
      redis.call('HDEL', P .. 'b:' .. mailbox, 'owner')
      release(mailbox, lane, NOW)
    else
      redis.call('ZREM', leased, mailbox) -- left over: it waits in another lane
    end
  end
  if redis.call('ZCARD', ready) + redis.call('ZCARD', leased) == 0 then
    redis.call('SREM', P .. 'busy', lane)
    redis.call('HSET', P .. 'lane:' .. lane, 'backlog', '0') -- whatever was counted
    redis.call('HDEL', P .. 'lane:' .. lane, 'swept')
  elseif redis.call('ZCOUNT', ready, '-inf', NOW) > 0 then
    for _ = 1, 4 do
      local before = #wakes
      wake(lane)
      if #wakes == before then break end
    end
  end
end
return wakes
