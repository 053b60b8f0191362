-- uses: lanes places
-- An item comes to the end of a mailbox, and the mailbox to its place: it waits in its lane, or it is at work, never neither.

-- One that waits or is at work stays where it is, and an item behind others makes nothing due. `state` is {lane, owner}.
local function keep_place(mailbox, lane, state)
  local LOST_LEASE_MS = 600000 -- at work, but lost its place among the others; the sweep cuts it short
  local lost
  if state[2] then
    lost = redis.call('ZADD', P .. 'leased:' .. lane, 'NX', str(now + LOST_LEASE_MS), mailbox)
  else
    lost = wait_in(mailbox, lane, NOW, 'NX')
  end
  if lost == 1 then -- its place
    redis.call('SADD', P .. 'busy', lane)
    wake(lane)
  end
end

-- An idle mailbox becomes ready in its lane.
local function push(mailbox, lane, item)
  local box = P .. 'b:' .. mailbox
  if redis.call('RPUSH', P .. 'q:' .. mailbox, item) == 1 and redis.call('HSETNX', box, 'lane', lane) == 1 then
    redis.call('HINCRBY', P .. 'lane:' .. lane, 'backlog', '1')
    get_ready(mailbox, lane)
    return wake(lane)
  end
  local state = redis.call('HMGET', box, 'lane', 'owner')
  if not state[1] then redis.call('HSET', box, 'lane', lane) end
  lane = state[1] or lane
  redis.call('HINCRBY', P .. 'lane:' .. lane, 'backlog', '1')
  keep_place(mailbox, lane, state)
end
