-- uses: heads releases entries given_up items bursts expiring suspects
-- A head that nobody may work any more leaves its mailbox: its customer opted out, it waited too long, or it is poison.
local poisoned -- heads that were given up here
each_call(function() poisoned = 0 end)

-- A handoff that is given up here leaves its conversation in a dead end: before all the rest, a worker leads it back.
local function do_away(mailbox, lane, item, unwanted, retention, asked, expired)
  if item then drop_head(mailbox, lane, item) end
  if unwanted then
    refuse(unwanted, retention)
  elseif expired then
    expire(mailbox, lane, item, drop_asked(mailbox, lane, item, asked), expired)
  elseif item then
    local others = drop_asked(mailbox, lane, item, asked)
    dead_letter(mailbox, lane, item, 'poison', 'tried ' .. POISON_TRIES .. ' times alone without a result', others)
    if item == HANDOFF then
      redis.call('LPUSH', P .. 'q:' .. mailbox, LOST_HANDOFF)
      redis.call('HINCRBY', P .. 'lane:' .. lane, 'backlog', '1')
    end
    poisoned = poisoned + 1
  end
  release(mailbox, lane, NOW, true)
end
