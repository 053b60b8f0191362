-- uses: given_up items
-- Whether a message has waited longer than its lane lets it (ms, 0: for ever) and is not to be sent any more. It counts from
-- when the message was accepted, or replayed (`qd`); what never expires has no such time. What was begun is finished.
local function has_expired(item, progress, expire_ms)
  local id = expire_ms > 0 and not progress and string.match(item, DELIVERED)
  local since = id and tonumber(redis.call('HGET', P .. 'm:' .. id, 'qd') or '')
  return since ~= nil and since ~= false and now - since > expire_ms
end

local function expire(mailbox, lane, item, others, expire_ms)
  dead_letter(mailbox, lane, item, 'expired', string.format('waited longer than %.15g s', expire_ms / 1000), others)
  redis.call('HINCRBY', P .. 'counts', 'expired:' .. lane, '1')
end
