-- The rule by which a lane finds its pace: a pace and what was seen make the next one. It knows neither keys nor clocks, so
-- that it can be tried against model platforms (`tests/store/test_pace.py`).
--   It rises while heads wait and calls take as long as usual: doubled until it fell for the first time; later doubled up to
-- where it is known to be good (`top`), and from there, once some time has passed, by 1, 2, 4 ...
--   It falls at once where the platform throttles, lets calls time out, or answers more slowly without answering more (what
-- then waits there is the pace times the share of the time by which a call is longer than usual: TCP Vegas).
-- A pace p is {pace, usual (ms of a call), top, top_until (ms), before, slow, look_at (ms)}; 0 is none. `before` and `slow` are
-- pace and ms before a fall for slowness: if that made nothing quicker, it was for nothing, and this is what a call takes now.
local fall, look
do
  -- What remains of the calls that were seen at once, what of them is known to be good, and for how long that is enough.
  local FALLS = {
    throttled = { keeps = 0.8, good = 0.8, hold_ms = 15000 },
    timed_out = { keeps = 0.8, good = 0.8, hold_ms = 5000 },
    ['no thread'] = { keeps = 1, good = 1, hold_ms = 5000 },
    sick = { keeps = 0, good = 0.5, hold_ms = 0 }, -- the breaker opened: whoever comes back is not met by all at once
  }
  local SLOW, STEADY = 1.5, 1.25 -- times the usual time: above the one it falls, up to the other it may rise
  local MAY_WAIT = 3 -- calls; fewer prove nothing
  local FEW = 4 -- at once: what they take is what calls take
  local SLOW_HOLD_MS, WINDOW_MS = 5000, 100

  local function least(n) return math.max(1, math.floor(n)) end

  -- `at_once`: calls that were in flight; a pace that was not used says nothing.
  function fall(p, why, at_once, now)
    local rule, seen = FALLS[why], math.min(p.pace, at_once)
    return {
      pace = least(seen * rule.keeps), usual = p.usual, top = least(seen * rule.good), top_until = now + rule.hold_ms,
      before = 0, slow = 0, look_at = now + WINDOW_MS,
    }
  end

  local function risen(p, now)
    if p.top == 0 then return p.pace * 2 end
    if p.pace < p.top then return math.min(p.top, p.pace * 2) end
    if now < p.top_until then return p.pace end
    return p.pace + math.max(1, math.min(p.pace, p.pace - p.top))
  end

  -- The usual time follows what is quicker at once, and what is slower only while nothing is tried.
  local function usual_of(p, usual, mean, calls, now)
    if p.pace <= FEW then return mean end
    if mean < usual then return usual + (mean - usual) * math.min(1 / 4, calls / 256) end
    if p.top > 0 and p.pace <= p.top and now < p.top_until then return usual + (mean - usual) / 8 end
    return usual
  end

  -- All the pace is used. `mean`: ms of a call since it changed, of so many `calls`: a few tell less.
  -- ->  the next one, and 'slower' if it falls for that
  function look(p, mean, calls, now, cap)
    local usual = p.usual > 0 and p.usual or mean
    local n = {
      pace = math.min(p.pace, cap), usual = usual, top = p.top, top_until = p.top_until, before = 0, slow = 0,
      look_at = now + math.max(WINDOW_MS, 2 * mean),
    }
    if p.before > 0 and mean > 0.9 * p.slow then
      n.pace, n.usual, n.top, n.top_until = math.min(p.before, cap), mean, p.before, now + SLOW_HOLD_MS
      return n
    end
    local waits = p.pace * (1 - usual / mean)
    if waits > MAY_WAIT and mean > (SLOW + 2 / math.sqrt(calls)) * usual then
      n.pace = least(math.max(p.pace / 2, 0.9 * p.pace * usual / mean))
      n.top, n.top_until, n.before, n.slow = n.pace, now + SLOW_HOLD_MS, p.pace, mean
      return n, 'slower'
    end
    n.usual = usual_of(p, usual, mean, calls, now)
    if waits <= MAY_WAIT or mean <= STEADY * usual then n.pace = math.min(cap, risen(p, now)) end
    return n
  end
end
