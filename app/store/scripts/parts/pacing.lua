-- uses: limits paces lanes
-- A lane's pace changes: what an attempt or a drain has found becomes the next one, which all workers share from then on.
-- Everything about it is read and written only here, when it may change; each turn of it makes what was measured before old.

local slow_down, speed_up, is_enough
do
  local MAX_AHEAD_MS = 120000 -- clocks are set back
  local ENOUGH = 8 -- calls that tell how long one takes; half a pace is enough, too
  local TOO_LATE = 0.1 -- the share of calls that timed out from which they speak of the platform

  local function ms(n) return string.format('%.2f', n) end

  local function read(key)
    local f = redis.call('HMGET', key, 'pace', 'cap', 'turn', 'usual', 'top', 'top_until', 'before', 'slow')
    return {
      pace = limit_of(f[1], f[2]), turn = tonumber(f[3] or '0'), usual = tonumber(f[4] or '0'),
      top = tonumber(f[5] or '0'), top_until = math.min(tonumber(f[6] or '0'), now + MAX_AHEAD_MS),
      before = tonumber(f[7] or '0'), slow = tonumber(f[8] or '0'),
    }, limit_of(MAX_PACE, f[2])
  end

  local function write(key, p, n, why)
    -- the first turn is the time, so that none comes again though Redis lose them
    local turn = str((p.turn > 0 and p.turn or now) + (n.pace == p.pace and 0 or 1))
    redis.call('HSET', key, 'pace', str(n.pace), 'turn', turn, 'usual', ms(n.usual), 'top', str(n.top),
      'top_until', str(n.top_until), 'before', str(n.before), 'slow', ms(n.slow), 'look_at', str(n.look_at))
    if why then redis.call('HSET', key, 'fell_why', why, 'fell_at', NOW) end
    return turn
  end

  -- `why` is one of the FALLS; `turn`: in which the call was made, nil if it was none. Calls of an earlier turn say nothing,
  -- and neither do a few that timed out among many that did not (`late`).
  function slow_down(lane, why, turn, late)
    local key = P .. 'lane:' .. lane
    local p = read(key)
    if turn and turn ~= p.turn then return end
    if why == 'timed_out' and late < TOO_LATE then return end
    local at_once = redis.call('ZCARD', P .. 'leased:' .. lane)
    if why ~= 'no thread' or at_once < p.pace then write(key, p, fall(p, why, at_once, now), why) end
  end

  -- Whether a worker has seen enough of this turn, and long enough after it began, to say how it goes.
  function is_enough(seen, pace, turn, look_at)
    return seen.turn == tonumber(turn or 0) and seen.calls >= math.min(ENOUGH, math.ceil(pace / 2))
      and (tonumber(look_at or 0) <= now or tonumber(look_at) > now + MAX_AHEAD_MS)
  end

  -- ->  the turn that calls are made in from now on
  function speed_up(lane, seen)
    local key = P .. 'lane:' .. lane
    local p, cap = read(key)
    local n, why = look(p, math.max(seen.mean, 0.01), math.max(seen.calls, 1), now, cap)
    local turn = write(key, p, n, why)
    if n.pace > p.pace then wake(lane, n.pace - p.pace) end
    return turn
  end
end
