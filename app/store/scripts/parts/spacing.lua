-- uses: items
-- How many messages a second a lane gives to one conversation (`each`, 0: as many as come), beside what its rate allows: at
-- once as many as a second holds, but at least one. `next:` is when all that it gave is made up for (GCRA, see `take`).
-- A message that may go now is counted.  ->  when it may go (ms), or nil: now
local function held_until(lane, mailbox, item, each)
  if each == 0 or not string.match(item, DELIVERED) then return nil end
  local key = P .. 'next:' .. lane .. '|' .. string.match(mailbox, '^(.*)|[^|]*$')
  local every, at_once = 1000 / each, math.max(1, each)
  local made_up = math.max(now, tonumber(redis.call('GET', key) or '0') or 0)
  if made_up > now + at_once * every + 1 then made_up = now end -- of a clock that was set back since
  local from = math.ceil(made_up - (at_once - 1) * every)
  if from > now then return from end
  local after = made_up + every
  redis.call('SET', key, string.format('%.3f', after), 'PX', math.ceil(after - now))
end
