-- uses: pacing lane_states
-- A lane's circuit breaker and its rest, as one attempt has found it.

local breaker
do
  -- Rest the lane; what was asked for is never shortened, not by the success of another drain either.
  local function pause(key, ms, why)
    local until_ = now + ms
    if until_ <= tonumber(redis.call('HGET', key, 'paused_until') or '0') then return end
    redis.call('HSET', key, 'paused_until', str(until_), 'paused_why', why)
  end

  -- While the breaker is open only its probe makes the pause longer: attempts that began before it opened say nothing new.
  function breaker(lane, s)
    local key = P .. 'lane:' .. lane
    local state = lane_state(lane)
    local probing = state.prober == s.owner
    if not probing and (s.lane == 'none' or s.lane == 'ok' and not state.failures) then return end
    if s.lane == 'ok' then
      if state.failures then redis.call('HDEL', key, 'failures', 'opened', 'probe', 'prober') end
    elseif s.lane == 'sick' then
      local failures = redis.call('HINCRBY', key, 'failures', 1)
      if probing or (not state.opened and failures >= s.threshold) then
        local opened = redis.call('HINCRBY', key, 'opened', 1)
        pause(key, math.min(s.cooldown_ms * 2 ^ (opened - 1), s.max_cooldown_ms), s.why)
        slow_down(lane, 'sick')
      elseif s.falls and not state.opened then
        slow_down(lane, s.falls, s.turn, s.late)
      end
    elseif s.lane == 'pause' then
      pause(key, s.pause_ms, s.why)
      if s.falls then slow_down(lane, s.falls, s.turn, s.late) end
    end
    if probing then redis.call('HDEL', key, 'probe', 'prober') end
    lane_changed(lane)
  end
end
