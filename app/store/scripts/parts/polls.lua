-- uses: mailboxes items
-- A thread that a conversation has with its destination is to be looked at, once: unless a poll waits as the newest item. One
-- that is being worked does not count, as what it saw may be older than the change.
local function poll(conversation, lane)
  local mailbox = conversation .. '|inbound'
  local queue = P .. 'q:' .. mailbox
  if redis.call('LINDEX', queue, -1) == POLL then
    local at_work = redis.call('HEXISTS', P .. 'b:' .. mailbox, 'owner') == 1
    if not at_work or redis.call('LLEN', queue) > 1 then return end
  end
  push(mailbox, lane, POLL)
end
