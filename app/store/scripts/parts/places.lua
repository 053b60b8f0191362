-- uses: lane_states
-- Where mailboxes wait in their lane. Broadcasts wait while replies flow: their mailboxes (`<conversation>|bulk`) have a place
-- of their own. A lane where some wait has a field `bulk` (see `broadcasts`); other lanes are not asked for them.

local function is_bulk(mailbox) return string.sub(mailbox, -5) == '|bulk' end

-- Have a lane's claims look for broadcasts.
local function mind_bulk(lane)
  if redis.call('HSETNX', P .. 'lane:' .. lane, 'bulk', '0') == 1 then lane_changed(lane) end
end

-- A mailbox waits in its lane from now on, to be worked at `due`; `how` is 'NX' or nothing.  ->  1 if it did not wait there
local function wait_in(mailbox, lane, due, how)
  if not is_bulk(mailbox) then return redis.call('ZADD', P .. 'ready:' .. lane, how or 'CH', due, mailbox) end
  mind_bulk(lane)
  return redis.call('ZADD', P .. 'bulk:' .. lane, how or 'CH', due, mailbox)
end

-- How many mailboxes of a lane are due; `bulk` is that field of it.
local function count_due(lane, bulk)
  local due = redis.call('ZCOUNT', P .. 'ready:' .. lane, '-inf', NOW)
  return bulk and due + redis.call('ZCOUNT', P .. 'bulk:' .. lane, '-inf', NOW) or due
end
