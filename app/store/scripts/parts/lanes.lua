-- uses: tokens limits places
-- Lanes owe a drain for each mailbox that is due, up to their limit: whether one is owed is asked in the script that makes
-- work due, so that none is stranded, and answered with a token, so that no more come than may.
local WAKE_MS = 5000 -- a wake-up that did not arrive by then is lost
local wakes -- lane, token, lane, token ...: the drains that are owed now
each_call(function() wakes = {} end)

-- Ask for one more drain of the lane, or for some: as many as there is work due that no drain is on its way to, and as it
-- would be allowed to claim. `due` mailboxes are, if that is known.
local function wake(lane, some, due)
  local state = redis.call('HMGET', P .. 'lane:' .. lane, 'paused_until', 'opened', 'probe', 'pace', 'cap', 'bulk')
  if tonumber(state[1] or '0') > now or (state[2] and tonumber(state[3] or '0') > now) then return end
  local limit, drains = limit_of(state[4], state[5], state[2]), P .. 'drains:' .. lane
  local drains_now, leased = redis.call('ZCARD', drains), redis.call('ZCARD', P .. 'leased:' .. lane)
  if drains_now > 0 then drains_now = drains_now - redis.call('ZREMRANGEBYSCORE', drains, '-inf', NOW) end
  if drains_now >= limit or leased >= limit then return end
  due = due or count_due(lane, state[6])
  if due == 0 then return end
  for _ = 1, math.min(not state[2] and some or 1, limit - drains_now, due - drains_now + leased) do
    local t = token()
    redis.call('ZADD', drains, now + WAKE_MS, t)
    wakes[#wakes + 1] = lane
    wakes[#wakes + 1] = t
  end
end

-- A mailbox that comes to a lane waits there from now on. `busy` names the lanes that the sweep must look at.
local function get_ready(mailbox, lane)
  wait_in(mailbox, lane, NOW)
  redis.call('SADD', P .. 'busy', lane)
end
