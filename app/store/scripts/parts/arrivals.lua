-- uses: mailboxes lanes followed
-- An item comes to the end of a mailbox, if there is room there and in its lane. It is added, and taken away again where that
-- shows that there is none: to look first takes more commands, and in a script each costs more than what it does.

-- As if it had not come. It must still be the last in its mailbox.
local function turn_away(place)
  redis.call('RPOP', P .. 'q:' .. place.mailbox)
  redis.call('HINCRBY', P .. 'lane:' .. place.lane, 'backlog', '-1')
  if place.idle then redis.call('HDEL', P .. 'b:' .. place.mailbox, 'lane') end
end

-- With `follow` an idle mailbox waits in the lane of that conversation's session, if it has one; else in `lane`.
-- ->  {mailbox, lane, state, idle}, for `stay` or `turn_away`; or nil, 'mailbox_full' | 'lane_full'
local function arrive(mailbox, lane, follow, item, max_mailbox, max_lane)
  local queue, box = P .. 'q:' .. mailbox, P .. 'b:' .. mailbox
  local length = redis.call('RPUSH', queue, item)
  if length > max_mailbox then
    redis.call('RPOP', queue)
    return nil, 'mailbox_full'
  end
  local known = length > 1 and redis.call('HMGET', box, 'lane', 'owner') or {}
  if not known[1] and follow then lane = lane_of_session(follow, lane) end
  local idle = not known[1] and redis.call('HSETNX', box, 'lane', lane) == 1
  if not (known[1] or idle) then known = redis.call('HMGET', box, 'lane', 'owner') end
  local place = { mailbox = mailbox, lane = known[1] or lane, state = known, idle = idle and length == 1 }
  if redis.call('HINCRBY', P .. 'lane:' .. place.lane, 'backlog', '1') <= max_lane then return place end
  turn_away(place)
  return nil, 'lane_full'
end

-- Now the mailbox may be worked, and is due if it was idle.
local function stay(place)
  if not place.idle then return keep_place(place.mailbox, place.lane, place.state) end
  get_ready(place.mailbox, place.lane)
  wake(place.lane)
end
