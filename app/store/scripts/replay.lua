-- uses: people lanes mailboxes moves dropped_dead_letters items
-- Put a dead letter's item back at the end of its mailbox, with all its attempts unspent; its message is queued again, and
-- behind it those that were asked with it.
-- If its customer has several addresses by now, both are those of the one conversation that they lead to.
-- ARGV[3]: JSON {id}  ->  {'ok' | 'unknown' | 'webhook', wakes...}

-- A message that failed is to be sent again: it is queued, unless another part of it has failed, too. `part` names the part
-- that it is about, as in `climb`.
local queue_again
function queue_again(id, part)
  local key, failed = P .. 'm:' .. id, false
  local rec = redis.call('HMGET', key, 'st', 'ps', 'wh', 'qd')
  if rec[2] then
    local parts, name = cjson.decode(rec[2]), part or id
    if parts[name] then parts[name] = 'queued' end
    for _, status in pairs(parts) do failed = failed or status == 'failed' end
    redis.call('HSET', key, 'ps', cjson.encode(parts))
  end
  if rec[1] == 'failed' and not failed then
    redis.call('HSET', key, 'st', 'queued')
    if rec[4] and rec[4] ~= '' then redis.call('HSET', key, 'qd', NOW) end
    redis.call('HDEL', key, 'er')
  end
  if rec[3] then queue_again(rec[3], id) end
end

local a = cjson.decode(ARGV[3])
local mailbox, lane, item, webhook, also =
  unpack(redis.call('HMGET', P .. 'd:' .. a.id, 'mailbox', 'lane', 'item', 'webhook', 'also'))
if webhook then return { 'webhook' } end
if not (mailbox and lane and item) then return { 'unknown' } end
local cv = string.match(mailbox, '^(.*)|[^|]*$') or ''
local now_of = conversation_of(cv)

-- Its message, if it has one, belongs to the conversation that it leads to by now.
local function back(text, message)
  local body = message and redis.call('HGET', P .. 'm:' .. message, 'body')
  local entry = { mailbox = mailbox, rec = { cv = cv, body = body or '' } }
  move(entry, now_of)
  if body and entry.rec.cv ~= cv then
    redis.call('HSET', P .. 'm:' .. message, 'body', entry.rec.body, 'cv', entry.rec.cv)
  end
  if message then queue_again(message) end
  push(entry.mailbox, lane, text)
end

drop_dead_letter(a.id)
back(item, string.match(item, DELIVERED))
for id in string.gmatch(also or '', '%S+') do back(DELIVER .. id, id) end
return { 'ok', unpack(wakes) }
