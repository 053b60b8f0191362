-- Forget a dead letter, and with it what nothing else needs: its message's record, unless a report about it still waits.
-- ARGV[3]: JSON {id, retention}  ->  1, or 0 if there is no such letter
even_if_full()
local a = cjson.decode(ARGV[3])
local item = drop_letter(a.id)
if not item then return 0 end
local message = string.match(item, '^message (%S+)')
if not message then return 1 end
local cv, reports = unpack(redis.call('HMGET', P .. 'm:' .. message, 'cv', 'rp'))
local told = cv and reports and redis.call('LPOS', P .. 'q:' .. cv .. '|status:' .. reports, 'status ' .. message .. ' failed')
if told then
  forget_later(message, a.retention)
else
  redis.call('DEL', P .. 'm:' .. message)
  if cv then redis.call('LREM', P .. 't:' .. cv, 1, message) end
end
return 1
