-- Put a dead letter's item back at the end of its mailbox, with all its attempts unspent; its message is queued again.
-- ARGV[3]: JSON {id}  ->  {'ok' | 'unknown' | 'webhook', wakes...}
local a = cjson.decode(ARGV[3])
local letter = redis.call('HMGET', P .. 'd:' .. a.id, 'mailbox', 'lane', 'item', 'webhook')
if letter[4] then return { 'webhook' } end
if not (letter[1] and letter[2] and letter[3]) then return { 'unknown' } end
local message = string.match(letter[3], '^message (%S+)')
if message then
  local record_key = P .. 'm:' .. message
  if redis.call('HGET', record_key, 'st') == 'failed' then redis.call('HSET', record_key, 'st', 'queued') end
  redis.call('HDEL', record_key, 'er')
end
drop_letter(a.id)
push(letter[1], letter[2], letter[3])
return { 'ok', unpack(wakes) }
