-- uses: even_if_full lanes settling claiming done_away
-- Settle the head that was worked and claim the next one, in one step: a drain that goes on costs one call for each head.
-- ARGV[3]: settlement as JSON, or ''. ARGV[4]: lane to claim from, or ''. ARGV[5]: the drain's token.
-- ARGV[6]: lease in ms, see `claim`. ARGV[7]: calls per second of the lane, 0 = no limit. ARGV[8]: seconds for which the
-- record of what is done is kept. ARGV[9]: whether the worker can be alone with a head: 'kept' (it is), 'possible' (it will be,
-- and says so to `remember`), 'impossible'; see `suspects`. ARGV[10]: ms after which what waits expires, 0 = never.
-- ARGV[11]: messages per second of one conversation, 0 = no limit.
-- ->  {settled ('ok' | 'stale' | ''), state ('claimed' | 'idle' | 'more'), how many heads were given up as poison, how long
--     the claim is, claim..., wakes...}
local s = ARGV[3] ~= '' and cjson.decode(ARGV[3])
local settled = s and settle(s) or ''
local seen = settled == 'ok' and s.lane == 'ok' and s

-- One flat list, because Redis writes each list inside of another one to the socket by itself.
local function answer(state, ...)
  local said = { settled, state, poisoned, select('#', ...), ... }
  for n = 1, #wakes do said[#said + 1] = wakes[n] end
  return said
end

if ARGV[4] == '' then return answer('idle') end
return answer(claim(ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), seen, ARGV[9],
  tonumber(ARGV[10]), tonumber(ARGV[11])))
