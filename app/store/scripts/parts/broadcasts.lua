-- uses: places lane_states
-- Which mailbox of a lane is next: replies go before broadcasts. The lane's field `bulk` counts the replies since the last
-- broadcast: of so many heads in a row one is a broadcast, so that they get on where a reply is always due.
local BULK_EVERY = 10

local next_mailbox, note_turn
do
  local function pop_due(key, at)
    local mailbox, due = unpack(redis.call('ZPOPMIN', key))
    if not mailbox or tonumber(due) <= at then return mailbox end
    redis.call('ZADD', key, due, mailbox)
  end

  -- Take the mailbox that is due next in a lane; nil if none is.
  function next_mailbox(lane, bulk)
    local replies, broadcasts = P .. 'ready:' .. lane, P .. 'bulk:' .. lane
    if not bulk then return pop_due(replies, now) end
    if tonumber(bulk) + 1 >= BULK_EVERY then return pop_due(broadcasts, now) or pop_due(replies, now) end
    return pop_due(replies, now) or pop_due(broadcasts, now)
  end

  -- The head of this mailbox is handed out, or nobody's.
  function note_turn(lane, mailbox)
    local key = P .. 'lane:' .. lane
    if redis.call('EXISTS', P .. 'bulk:' .. lane) == 0 then
      redis.call('HDEL', key, 'bulk')
    elseif mailbox and is_bulk(mailbox) then
      redis.call('HSET', key, 'bulk', '0')
    elseif mailbox then
      redis.call('HINCRBY', key, 'bulk', '1')
    end
    lane_changed(lane)
  end
end
