-- Give records other bodies, or forget them, once their work is done; all or none of them.
-- ARGV[3]: JSON {messages: {id, body ('' to forget it)}, cv, lists}  ->  'ok' | 'busy'
local a = cjson.decode(ARGV[3])
for _, message in ipairs(a.messages) do
  if redis.call('HGET', P .. 'm:' .. message.id, 'st') == 'queued' then return 'busy' end
end
for _, message in ipairs(a.messages) do
  local key = P .. 'm:' .. message.id
  if message.body == '' then
    redis.call('DEL', key)
    redis.call('LREM', P .. 't:' .. a.cv, 1, message.id)
    for _, list in ipairs(a.lists) do redis.call('ZREM', P .. 'i:' .. list, message.id) end
  elseif redis.call('EXISTS', key) == 1 then
    redis.call('HSET', key, 'body', message.body)
  end
end
return 'ok'
