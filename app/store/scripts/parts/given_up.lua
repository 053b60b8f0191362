-- uses: kept_dead_letters statuses items
-- An item that was given up becomes a dead letter that only an operator may replay, and its message fails with it. A handoff
-- that is replayed is one `again`: its conversation may have gone on without it.
local function dead_letter(mailbox, lane, item, reason, err)
  if item == HANDOFF then item = HANDOFF_AGAIN end
  local message = string.match(item, DELIVERED)
  local bytes = message and redis.call('HSTRLEN', P .. 'm:' .. message, 'body') or 0
  keep_dead_letter(lane, bytes, 'mailbox', mailbox, 'item', item, 'reason', reason, 'error', err)
  if message then climb(message, 'failed', reason .. ': ' .. err) end
end
