-- Forget a dead letter; from now on its message's record may be forgotten too.
-- ARGV[3]: JSON {id, retention}  ->  1, or 0 if there is no such letter
local a = cjson.decode(ARGV[3])
local key = P .. 'd:' .. a.id
local item = redis.call('HGET', key, 'item')
if redis.call('DEL', key) == 0 then return 0 end
redis.call('ZREM', P .. 'dead', a.id)
local message = item and string.match(item, '^message (%S+)')
if message then forget_later(message, a.retention) end
return 1
