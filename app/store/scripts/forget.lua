-- uses: even_if_full
-- Forget a person. What waits for them is dropped, and so are the leases of what is at work: whoever has it in hand settles
-- nothing any more. With `conversations`, all that stands under their names goes in the same step, so that what they write
-- next begins anew.
-- ARGV[3]: JSON {mailboxes, lanes, whys, conversations, consent}
--   lanes: all that there are.  whys: {lane, why it rested} where that names them; the words are left out
--   conversations: those of all their addresses, the one that goes on first.  consent: forget it, too; else it holds for each
--   address by itself, as nothing says any more that they are one person's
-- ->  ids of the messages that were still in their timelines
local a = cjson.decode(ARGV[3])

local function drop(mailbox)
  local box, queue = P .. 'b:' .. mailbox, P .. 'q:' .. mailbox
  local lane, owner = unpack(redis.call('HMGET', box, 'lane', 'owner'))
  for _, each in ipairs(a.lanes) do
    local places = redis.call('ZREM', P .. 'ready:' .. each, mailbox) + redis.call('ZREM', P .. 'leased:' .. each, mailbox)
      + redis.call('ZREM', P .. 'bulk:' .. each, mailbox)
    if not lane and places > 0 then lane = each end
  end
  local count = redis.call('LLEN', queue)
  redis.call('UNLINK', queue)
  redis.call('DEL', box)
  if not lane then return end
  if count > 0 then redis.call('HINCRBY', P .. 'lane:' .. lane, 'backlog', str(-count)) end
  if owner and redis.call('HGET', P .. 'lane:' .. lane, 'prober') == owner then -- it will tell nothing: another one is tried
    redis.call('HDEL', P .. 'lane:' .. lane, 'probe', 'prober')
  end
end

local function keep_consent(first, other)
  local known, left = redis.call('HGETALL', P .. 'o:' .. first), redis.call('PTTL', P .. 'o:' .. first)
  if other == first or #known == 0 then return end
  redis.call('DEL', P .. 'o:' .. other)
  redis.call('HSET', P .. 'o:' .. other, unpack(known))
  if left > 0 then redis.call('PEXPIRE', P .. 'o:' .. other, left) end
end

local late = {}

local function forget(conversation)
  local timeline = P .. 't:' .. conversation
  for _, id in ipairs(redis.call('LRANGE', timeline, '0', '-1')) do
    if redis.call('UNLINK', P .. 'm:' .. id) == 1 then late[#late + 1] = id end
  end
  redis.call('ZREM', P .. 'watch', conversation)
  redis.call('UNLINK', P .. 'e:' .. conversation)
  redis.call('DEL', timeline)
  redis.call('DEL', P .. 's:' .. conversation)
  redis.call('DEL', P .. 'n:' .. conversation)
  redis.call('DEL', P .. 'w:' .. conversation)
  redis.call('DEL', P .. 'to:' .. conversation)
  redis.call('DEL', P .. 'v:' .. conversation)
  redis.call('DEL', P .. 'cost:c:' .. conversation)
end

for _, mailbox in ipairs(a.mailboxes) do drop(mailbox) end
for _, conversation in ipairs(a.conversations) do
  if a.consent then
    redis.call('DEL', P .. 'o:' .. conversation)
  else
    keep_consent(a.conversations[1], conversation)
  end
  forget(conversation)
end
for _, row in ipairs(a.whys) do
  local key = P .. 'lane:' .. row[1]
  if redis.call('HGET', key, 'paused_why') == row[2] then
    redis.call('HSET', key, 'paused_why', string.match(row[2], '^[^:]*'))
  end
end
return late
