-- uses: mailboxes records forgetting statuses items
-- A message enters: its record and its place in its mailbox come into being together. One for a customer who wants none has
-- failed instead, and whoever wrote it hears that at once.

-- Asked of a person's conversation (see `people`).
local function wants_none(conversation) return redis.call('HGET', P .. 'o:' .. conversation, 'state') == 'out' end

local function refuse(id, retention)
  climb(id, 'failed', OPTED_OUT .. 'the customer wants no messages on this channel')
  forget_later(id, retention)
end

local function is_unwanted(rec) return rec.dr == 'outbound' and not rec.ex and wants_none(rec.cv) end

local function enter(rec, mailbox, lane)
  record(rec)
  if is_unwanted(rec) then return refuse(rec.id, rec.retention) end
  push(mailbox, lane, DELIVER .. rec.id)
end
