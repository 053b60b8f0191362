-- A head leaves its mailbox, where it still is.
local function drop_head(mailbox, lane, item)
  local queue = P .. 'q:' .. mailbox
  local head = redis.call('LPOP', queue)
  if head == item then
    redis.call('HINCRBY', P .. 'lane:' .. lane, 'backlog', '-1')
  elseif head then
    redis.call('LPUSH', queue, head) -- the mailbox was lost, and this one came after that
  end
end
