-- uses: kept_dead_letters statuses
-- An item that was given up becomes a dead letter that only an operator may replay, and its message fails with it. A handoff
-- that is replayed is one `again`: its conversation may have gone on without it.
local function dead_letter(mailbox, lane, item, reason, err)
  if item == 'handoff' then item = 'handoff again' end
  local message = string.match(item, '^message (%S+)')
  local bytes = message and redis.call('HSTRLEN', P .. 'm:' .. message, 'body') or 0
  keep_dead_letter(lane, bytes, 'mailbox', mailbox, 'item', item, 'reason', reason, 'error', err)
  if message then climb(message, 'failed', reason .. ': ' .. err) end
end
