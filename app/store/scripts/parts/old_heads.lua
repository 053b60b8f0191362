-- A mailbox has another head: the attempts, progress and doubts of the last one were its own.
local function forget_head(mailbox)
  redis.call('HDEL', P .. 'b:' .. mailbox, 'owner', 'claims', 'first', 'attempts', 'progress', 'uncertain', 'asked',
    'alone')
end
