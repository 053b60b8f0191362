-- Put a dead letter's item back at the end of its mailbox, with all its attempts unspent; its message is queued again.
-- If its customer has several addresses by now, both are those of the one conversation that they lead to.
-- ARGV[3]: JSON {id}  ->  {'ok' | 'unknown' | 'webhook', wakes...}
local a = cjson.decode(ARGV[3])
local letter = redis.call('HMGET', P .. 'd:' .. a.id, 'mailbox', 'lane', 'item', 'webhook')
if letter[4] then return { 'webhook' } end
if not (letter[1] and letter[2] and letter[3]) then return { 'unknown' } end
local cv = string.match(letter[1], '^(.*)|[^|]*$') or ''
local message = string.match(letter[3], '^message (%S+)')
local body = message and redis.call('HGET', P .. 'm:' .. message, 'body')
local entry = { mailbox = letter[1], rec = { cv = cv, body = body or '' } }
move(entry, conversation_of(cv))
if body and entry.rec.cv ~= cv then
  redis.call('HSET', P .. 'm:' .. message, 'body', entry.rec.body, 'cv', entry.rec.cv)
end
if message then queue_again(message) end
drop_letter(a.id)
push(entry.mailbox, letter[2], letter[3])
return { 'ok', unpack(wakes) }
