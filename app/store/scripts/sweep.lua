-- uses: even_if_full lanes releases polls later_polls followed
-- The tick: mailboxes whose lease ran out are ready again (their owner is fenced off), and lanes with work that no drain is
-- on its way to are woken; threads that are due for it get their slow poll. Clocks are set back: what then lies further ahead
-- than anything can is brought back, and so is what was due already by the clock of the lane's last sweep (`swept`).
-- ARGV[3]: JSON {lease_ms, delay_ms, watch_ms, the longest that there are; spare_ms, which leases that ran out are given
-- yet}  ->  {wakes...}
local POLL_AGAIN_MS = 3600000 -- if the poll that is owed comes to nothing
local MAX_BROUGHT_BACK = 1000 -- of one list, in one sweep
local longest = cjson.decode(ARGV[3])

local function bring_back(key, first, last, to)
  local members = redis.call('ZRANGEBYSCORE', key, '(' .. str(first), last, 'LIMIT', 0, MAX_BROUGHT_BACK)
  for _, member in ipairs(members) do redis.call('ZADD', key, str(to), member) end
  return #members == MAX_BROUGHT_BACK
end

-- A lane that rests too long tries again; a lease is only cut short, because whoever has it may still be at work.
local function bring_back_lane(lane)
  local key = P .. 'lane:' .. lane
  local ready, leased = P .. 'ready:' .. lane, P .. 'leased:' .. lane
  local paused, probe, before = unpack(redis.call('HMGET', key, 'paused_until', 'probe', 'swept'))
  paused, probe, before = tonumber(paused or '0'), tonumber(probe or '0'), tonumber(before or '0')
  if paused > now + longest.delay_ms or (paused > now and paused <= before) then
    redis.call('HSET', key, 'paused_until', NOW)
  end
  if probe > now + longest.lease_ms then redis.call('HSET', key, 'probe', str(now + longest.lease_ms)) end
  bring_back(leased, now + longest.lease_ms, '+inf', now + longest.lease_ms)
  bring_back(ready, now + longest.delay_ms, '+inf', now)
  local unfinished = before > now and bring_back(ready, now, str(before), now)
  if not unfinished then redis.call('HSET', key, 'swept', NOW) end
  redis.call('ZREMRANGEBYSCORE', P .. 'drains:' .. lane, '(' .. str(now + math.max(longest.lease_ms, WAKE_MS)), '+inf')
end

-- Of mailboxes whose lease ran out.
local function free(lane)
  local leased = P .. 'leased:' .. lane
  local spared = longest.spare_ms > 0 and str(now + longest.spare_ms)
  for _, mailbox in ipairs(redis.call('ZRANGEBYSCORE', leased, '-inf', NOW, 'LIMIT', 0, spared and 1000 or 100)) do
    local known = redis.call('HGET', P .. 'b:' .. mailbox, 'lane') or lane
    if known ~= lane then
      redis.call('ZREM', leased, mailbox) -- left over: it waits in another lane
    elseif spared then
      redis.call('ZADD', leased, spared, mailbox)
    else
      redis.call('HDEL', P .. 'b:' .. mailbox, 'owner')
      release(mailbox, lane, NOW)
    end
  end
end

bring_back(P .. 'watch', now + longest.watch_ms, '+inf', now)
for _, conversation in ipairs(redis.call('ZRANGEBYSCORE', P .. 'watch', '-inf', NOW, 'LIMIT', 0, 50)) do
  poll_later(conversation, redis.call('HEXISTS', P .. 's:' .. conversation, 'destination') * POLL_AGAIN_MS)
  local lane = lane_of_session(conversation)
  if lane then poll(conversation, lane) end
end
for _, lane in ipairs(redis.call('SMEMBERS', P .. 'busy')) do
  bring_back_lane(lane)
  free(lane)
  if redis.call('EXISTS', P .. 'ready:' .. lane, P .. 'leased:' .. lane) == 0 then
    redis.call('SREM', P .. 'busy', lane)
    redis.call('HSET', P .. 'lane:' .. lane, 'backlog', '0') -- whatever was counted
    redis.call('HDEL', P .. 'lane:' .. lane, 'swept')
  elseif redis.call('ZCOUNT', P .. 'ready:' .. lane, '-inf', NOW) > 0 then
    for _ = 1, 4 do
      local before = #wakes
      wake(lane)
      if #wakes == before then break end
    end
  end
end
return wakes
