-- uses: people
-- Costs are whole nanos of the configured currency; Lua's numbers hold them exactly below 2^53. Here alone they change: on
-- the message, in its channel's sums of a day and in its conversation's (kept for `keep` seconds from now), all as one.
local function add_cost(id, cv, day, what, nanos, keep)
  if nanos == 0 then return end
  local COSTS_S = 400 * 86400 -- how long the sums of a day are kept
  local of_day, of_all = P .. 'cost:' .. day, P .. 'cost:c:' .. (conversation_of(cv))
  redis.call('HINCRBY', P .. 'm:' .. id, 'co', str(nanos))
  redis.call('HINCRBY', of_day, string.match(cv, '^[^/]*') .. '|' .. what, str(nanos))
  redis.call('EXPIRE', of_day, COSTS_S)
  redis.call('HINCRBY', of_all, what, str(nanos))
  redis.call('EXPIRE', of_all, keep)
end
