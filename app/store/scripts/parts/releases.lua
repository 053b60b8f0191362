-- uses: old_heads places
-- A mailbox is let go of: it is ready again at `due`, or forgotten if nothing is left in it. Whether it is empty must be
-- asked here, in the same script, or an item that came meanwhile would be stranded. `anew`: it has another head now.
local function release(mailbox, lane, due, anew)
  redis.call('ZREM', P .. 'leased:' .. lane, mailbox)
  if redis.call('LLEN', P .. 'q:' .. mailbox) > 0 then
    if anew then forget_head(mailbox) end
    wait_in(mailbox, lane, due) -- the lane is `busy` already: it held the mailbox
  else
    redis.call('DEL', P .. 'b:' .. mailbox)
  end
end
