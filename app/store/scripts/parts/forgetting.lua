-- From here on a message's record may be forgotten: its work is done.
local function forget_later(id, retention)
  redis.call('EXPIRE', P .. 'm:' .. id, retention)
end
