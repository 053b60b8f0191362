-- uses: kept_dead_letters statuses items letters
-- An item that was given up becomes a dead letter that only an operator may replay, and its message fails with it, as do the
-- others that were asked with it. A handoff that is replayed is one `again`: its conversation may have gone on without it.
local function dead_letter(mailbox, lane, item, reason, err, others)
  if item == HANDOFF then item = HANDOFF_AGAIN end
  local also, bytes = table.concat(others, ' '), 0
  local messages = messages_of(item, also)
  for _, message in ipairs(messages) do
    bytes = bytes + redis.call('HSTRLEN', P .. 'm:' .. message, 'body')
  end
  local id = keep_dead_letter(lane, bytes, 'mailbox', mailbox, 'item', item, 'reason', reason, 'error', err)
  if also ~= '' then redis.call('HSET', P .. 'd:' .. id, 'also', also) end
  for _, message in ipairs(messages) do climb(message, 'failed', reason .. ': ' .. err) end
end
