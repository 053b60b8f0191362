-- What is known of a lane's breaker, its rest, its pace and its broadcasts, read once in a call: whoever changes it says so.
local lane_state, lane_changed
do
  local known
  each_call(function() known = {} end)

  -- ->  {failures, opened, paused_until, pace, cap, turn, look_at, bulk}, false where there is none; {probe, prober} if it
  -- is open
  function lane_state(lane)
    if known[lane] then return known[lane] end
    local key = P .. 'lane:' .. lane
    local f = redis.call('HMGET', key, 'failures', 'opened', 'paused_until', 'pace', 'cap', 'turn', 'look_at', 'bulk')
    local probe = f[2] and redis.call('HMGET', key, 'probe', 'prober') or {}
    known[lane] = {
      failures = f[1], opened = f[2], paused_until = f[3], pace = f[4], cap = f[5], turn = f[6], look_at = f[7],
      bulk = f[8], probe = probe[1], prober = probe[2],
    }
    return known[lane]
  end

  function lane_changed(lane) known[lane] = nil end
end
