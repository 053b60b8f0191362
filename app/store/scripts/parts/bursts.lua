-- uses: items
-- Messages that are asked as one question: what becomes of the head becomes of all of them. They leave their mailbox with it.
-- `asked` are the ids of all, side by side with a space between, the head's first.  ->  the ids of the others
local function drop_asked(mailbox, lane, item, asked)
  local others = {}
  if not asked or string.match(asked, '^%S+') ~= string.match(item, DELIVERED) then return others end
  for id in string.gmatch(asked, ' (%S+)') do
    others[#others + 1] = id
    local gone = redis.call('LREM', P .. 'q:' .. mailbox, '1', DELIVER .. id)
    redis.call('HINCRBY', P .. 'lane:' .. lane, 'backlog', str(-gone))
  end
  return others
end
