-- uses: even_if_full limits lanes places releases polls later_polls followed
-- The tick: mailboxes whose lease ran out are ready again (their owner is fenced off), and lanes with work that no drain is
-- on its way to are woken; threads that are due for it get their slow poll. Clocks are set back: what was due already at the
-- last sweep (`swept` of a lane, `clock` for all) is due, and all that lay ahead then comes as much nearer as the clock went
-- back. What lies further ahead than anything can is brought back in any case.
-- ARGV[3]: JSON {lease_ms, delay_ms, poll_ms, the longest that there are; spare_ms, which leases that ran out are given
-- yet; apart_ms: another worker's sweep that is no longer ago will do}  ->  {wakes...}
local POLL_AGAIN_MS = 3600000 -- if the poll that is owed comes to nothing
local MAX_BROUGHT_BACK, MAX_SHIFTED = 1000, 10000 -- of one list, in one sweep
local longest = cjson.decode(ARGV[3])

local function bring_back(key, first, last, to)
  local members = redis.call('ZRANGEBYSCORE', key, '(' .. str(first), last, 'LIMIT', 0, MAX_BROUGHT_BACK)
  for _, member in ipairs(members) do redis.call('ZADD', key, str(to), member) end
  return #members == MAX_BROUGHT_BACK
end

-- What lay ahead at the time `before`, by a clock that has gone back since, lies as far ahead now.
local function shift(key, before)
  local found = redis.call('ZRANGEBYSCORE', key, '(' .. str(before), '+inf', 'WITHSCORES', 'LIMIT', 0, MAX_SHIFTED)
  for n = 1, #found, 2 do redis.call('ZADD', key, str(now + tonumber(found[n + 1]) - before), found[n]) end
end

-- A moment of that clock.
local function moment(at, before)
  if before <= now or at <= now then return at end
  return math.max(now, now + at - before)
end

-- A lane that rests too long tries again; a lease is only cut short, because whoever has it may still be at work.
-- ->  how many of its heads may be worked at once, and its `bulk`
local function bring_back_lane(lane)
  local key = P .. 'lane:' .. lane
  local ready, leased, drains = P .. 'ready:' .. lane, P .. 'leased:' .. lane, P .. 'drains:' .. lane
  local broadcasts = P .. 'bulk:' .. lane
  if redis.call('EXISTS', broadcasts) == 1 then mind_bulk(lane) end -- though that was lost
  local paused, probe, before, bulk, pace, cap =
    unpack(redis.call('HMGET', key, 'paused_until', 'probe', 'swept', 'bulk', 'pace', 'cap'))
  paused, probe, before = tonumber(paused or '0'), tonumber(probe or '0'), tonumber(before or '0')
  local paused_now, probe_now = moment(paused, before), math.min(moment(probe, before), now + longest.lease_ms)
  if paused_now > now + longest.delay_ms then paused_now = now end
  if paused_now ~= paused then redis.call('HSET', key, 'paused_until', str(paused_now)) end
  if probe_now < probe then redis.call('HSET', key, 'probe', str(probe_now)) end
  local unfinished = before > now and bring_back(ready, now, str(before), now)
  if before > now and bulk then unfinished = bring_back(broadcasts, now, str(before), now) or unfinished end
  if before > now and not unfinished then
    shift(ready, before)
    if bulk then shift(broadcasts, before) end
    shift(leased, before)
  end
  if before > now then
    redis.call('ZREMRANGEBYSCORE', drains, '(' .. str(before), '+inf') -- one too many is harmless
    local tokens_at = redis.call('HGET', key, 'tokens_at')
    if tokens_at then redis.call('HSET', key, 'tokens_at', str(moment(tonumber(tokens_at), before))) end
  end
  bring_back(leased, now + longest.lease_ms, '+inf', now + longest.lease_ms)
  bring_back(ready, now + longest.delay_ms, '+inf', now)
  if bulk then bring_back(broadcasts, now + longest.delay_ms, '+inf', now) end
  if not unfinished then redis.call('HSET', key, 'swept', NOW) end
  redis.call('ZREMRANGEBYSCORE', drains, '(' .. str(now + math.max(longest.lease_ms, WAKE_MS)), '+inf')
  return limit_of(pace, cap), bulk
end

-- Of mailboxes whose lease ran out.  ->  whether broadcasts are among them
local function free(lane)
  local leased = P .. 'leased:' .. lane
  local spared, bulk = longest.spare_ms > 0 and str(now + longest.spare_ms), false
  for _, mailbox in ipairs(redis.call('ZRANGEBYSCORE', leased, '-inf', NOW, 'LIMIT', 0, spared and 1000 or 100)) do
    local known = redis.call('HGET', P .. 'b:' .. mailbox, 'lane') or lane
    if known ~= lane then
      redis.call('ZREM', leased, mailbox) -- left over: it waits in another lane
    elseif spared then
      redis.call('ZADD', leased, spared, mailbox)
    else
      redis.call('HDEL', P .. 'b:' .. mailbox, 'owner')
      release(mailbox, lane, NOW)
      bulk = bulk or is_bulk(mailbox)
    end
  end
  return bulk
end

local clock = tonumber(redis.call('GET', P .. 'clock') or '0')
if longest.spare_ms == 0 and now - clock >= 0 and now - clock < longest.apart_ms then return wakes end
redis.call('SET', P .. 'clock', NOW)
if clock > now then
  if bring_back(P .. 'watch', now, str(clock), now) then
    redis.call('SET', P .. 'clock', str(clock)) -- the next sweep goes on with that
  else
    shift(P .. 'watch', clock)
  end
end
bring_back(P .. 'watch', now + longest.poll_ms, '+inf', now)
for _, conversation in ipairs(redis.call('ZRANGEBYSCORE', P .. 'watch', '-inf', NOW, 'LIMIT', 0, 50)) do
  poll_later(conversation, redis.call('HEXISTS', P .. 's:' .. conversation, 'destination') * POLL_AGAIN_MS)
  local lane = lane_of_session(conversation)
  if lane then poll(conversation, lane) end
end
for _, lane in ipairs(redis.call('SMEMBERS', P .. 'busy')) do
  local limit, bulk = bring_back_lane(lane)
  bulk = free(lane) or bulk
  local due = count_due(lane, bulk)
  if due > 0 then -- a lane that has rested comes back to its pace in a moment, not in one go
    wake(lane, math.max(4, math.ceil(limit / 2)), due)
  elseif redis.call('EXISTS', P .. 'ready:' .. lane, P .. 'leased:' .. lane, P .. 'bulk:' .. lane) == 0 then
    redis.call('SREM', P .. 'busy', lane)
    redis.call('HSET', P .. 'lane:' .. lane, 'backlog', '0') -- whatever was counted
  end
end
return wakes
