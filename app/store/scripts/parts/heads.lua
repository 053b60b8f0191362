-- A head leaves its mailbox, where it still is. Its attempts, progress and doubts are its own; they go with it.
local function drop_head(mailbox, lane, item)
  local queue = P .. 'q:' .. mailbox
  local head = redis.call('LPOP', queue)
  redis.call('HDEL', P .. 'b:' .. mailbox, 'claims', 'attempts', 'progress', 'uncertain', 'owner', 'first', 'asked',
    'alone')
  if head == item then
    redis.call('HINCRBY', P .. 'lane:' .. lane, 'backlog', '-1')
  elseif head then
    redis.call('LPUSH', queue, head) -- the mailbox was lost, and this one came after that
  end
end
